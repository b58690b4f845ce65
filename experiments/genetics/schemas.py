"""Schemas of what stage genotypes writes. Samples, relatives and families are rows of patients and stay at the site."""

import dataframely as dy
import polars as pl

SCHEMA_VERSION = 1
RELATIONS = (  # Manichaikul 2010, doi 10.1093/bioinformatics/btq559
    "duplicate",
    "first degree",
    "second degree",
    "not related",  # two samples of one patient that are of two people
)
FORMS = ("raw", "mean", "mean_variance")  # of a score: as summed, and normalised by ancestry
NOT_ASSIGNED = "not assigned"  # ancestry near no reference population


class GenotypeSamples(dy.Schema):
    """One row per sample of a patient of the cohort; samples of nobody in the cohort are not looked at."""

    sample_id = dy.String(primary_key=True)
    patient_id = dy.String(nullable=False)
    file = dy.String(nullable=False)
    call_rate = dy.Float64(nullable=True, min=0, max=1)
    heterozygosity_f = dy.Float64(nullable=True)  # null: not judged
    heterozygosity_distance = dy.Float64(nullable=True)  # robust SD from what ancestry lets expect
    x_f = dy.Float64(nullable=True)  # F on chromosome X; null: the file does not tell
    sex_check = dy.String(nullable=True)
    kept = dy.Bool(nullable=False)
    reason = dy.String(nullable=True)  # why not kept: its scores are missing then

    @dy.rule()
    def reason_where_not_kept(cls) -> pl.Expr:  # noqa: N805
        """A sample that is left out says why."""
        return pl.col("kept") == pl.col("reason").is_null()


class GenotypeVariants(dy.Schema):
    """One row per genotype file and variant."""

    file = dy.String(primary_key=True)
    variant = dy.Int64(primary_key=True, min=0)  # 0-based place in the file
    chromosome = dy.String(nullable=True)
    position = dy.Int64(nullable=True)
    id = dy.String(nullable=True)
    a1 = dy.String(nullable=True)
    a2 = dy.String(nullable=True)
    call_rate = dy.Float64(nullable=True, min=0, max=1)
    frequency = dy.Float64(nullable=True, min=0, max=1)  # of a1 among the cohort's samples of the file
    minor_allele_frequency = dy.Float64(nullable=True, min=0, max=0.5)
    hardy_weinberg_p = dy.Float64(nullable=True, min=0, max=1)  # exact; null: not tested
    kept = dy.Bool(nullable=False)
    reason = dy.String(nullable=True)  # why not kept: no score uses it then


class Relatives(dy.Schema):
    """One row per pair of samples that are related, or of one patient."""

    file_1 = dy.String(nullable=False)
    sample_1 = dy.String(primary_key=True)
    patient_1 = dy.String(nullable=False)
    file_2 = dy.String(nullable=False)
    sample_2 = dy.String(primary_key=True)
    patient_2 = dy.String(nullable=False)
    variants = dy.Int64(nullable=False, min=0)  # called in both
    kinship = dy.Float64(nullable=True, max=0.5)
    relation = dy.Enum(RELATIONS, nullable=False)


class PrunedVariants(dy.Schema):
    """One row per variant that components stand on, in the order of `genetic_variants`."""

    chromosome = dy.String(primary_key=True)
    position = dy.Int64(primary_key=True)
    a1 = dy.String(primary_key=True)  # the allele that components count
    a2 = dy.String(primary_key=True)
    in_kinship = dy.Bool(nullable=False)  # kinship and heterozygosity rest on it


class MatchLog(dy.Schema):
    """One row per genotype file, score and row of its scoring file: what became of it."""

    score = dy.String(primary_key=True)
    file = dy.String(primary_key=True)
    line = dy.Int64(primary_key=True)
    chromosome = dy.String(nullable=True)
    position = dy.Int64(nullable=True)
    effect = dy.String(nullable=True)
    other = dy.String(nullable=True)
    weight = dy.Float64(nullable=False)
    variant = dy.String(nullable=True)  # id of the matched variant in the file, or chromosome:position:a1:a2
    verdict = dy.String(nullable=False)  # matched, matched_flipped, matched_strand, ..., or why not
    used = dy.Bool(nullable=False)  # in the score
    left_out = dy.String(nullable=True)  # why a row that matched is not in the score


class Panel(dy.Schema):
    """One row per variant of the reference panel's components, in the order of PrunedVariants."""

    chromosome = dy.String(primary_key=True)
    position = dy.Int64(primary_key=True)
    a1 = dy.String(primary_key=True)
    a2 = dy.String(primary_key=True)
    frequency = dy.Float64(nullable=False, min=0, max=1)  # of a1 in the reference
    loadings = dy.List(dy.Float64(nullable=False), nullable=False)  # one per component
    weights = dy.List(dy.Float64(nullable=False), nullable=False)  # of the copies of a1, for projection


class ScoreSummary(dy.Schema):
    """One row per score, its form and a group of patients; null network or ancestry: all of them. Fit to leave the site."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    score = dy.String(nullable=False)
    form = dy.Enum(FORMS, nullable=False)
    network = dy.String(nullable=True)
    ancestry = dy.String(nullable=True)
    n = dy.Int64(nullable=True)  # patients with every score; null: suppressed
    mean = dy.Float64(nullable=True)
    sd = dy.Float64(nullable=True)
    # Quantiles beyond which fewer than a smallest cell of patients lie are null.
    q05 = dy.Float64(nullable=True)
    q25 = dy.Float64(nullable=True)
    q50 = dy.Float64(nullable=True)
    q75 = dy.Float64(nullable=True)
    q95 = dy.Float64(nullable=True)
    note = dy.String(nullable=True)
