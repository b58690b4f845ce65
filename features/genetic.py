"""The genetic feature set: polygenic scores, ancestry components and ancestry-normalised scores.

A polygenic score is the sum over variants of the number of effect alleles a patient carries times a weight estimated
elsewhere. Weights are frozen: no variant and no p-value threshold is chosen on the cohort. Stage `genotypes` reads the files,
checks and scores them sample by sample, and writes one row per patient; this set joins those rows to prediction times.
What is learnt from patients (components of the cohort, its allele frequencies, normalisation by them) is fitted
inside the fold, by an adjustment; components of a declared reference are a projection of each person alone.

Settings, under `feature_sets.genetic`:

    files: [genotypes/fr, [genotypes/de_1, genotypes/de_2]]  # PLINK 1 or 2 prefix, or VCF; a list: same people, other variants
    scores: {schizophrenia: weights/scz.txt}   # score name: PGS Catalog file or table of weights, plain or gzip
    genome_build: null                         # GRCh37 or GRCh38 of the genotypes; null: as far as the files tell
    minimum_match: 0.75                        # share of a score's variants that each genotype file must hold
    palindromic: drop                          # A/T and C/G variants: drop, keep (as written), frequency
    variants: common                           # a score's variants: those matched in every file, or each file its own
    vcf_field: null                            # DS or GT; null: DS where every variant has it
    missing: {imputation: hardy_weinberg, frequencies: scoring_file}
    quality: {sample_call_rate: 0.95, controls: {variable: diagnosis, levels: [control]}}
    ancestry: {reference: genotypes/panel, populations: genotypes/panel.tsv, components: 10, normalise: mean_variance}

docs/genetics.md says what each does. On chromosome X men count as PLINK codes them (0 or 2); Y and MT are left out and counted.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from features.contract import BuiltFeatures, Tables
from features.errors import BadInput
from features.genetics.settings import GeneticSettings

FEATURE_SET = "genetic"
SCORES, COLUMNS, REPORT = "scores.parquet", "columns.parquet", "report.json"


def build(
    prediction_times: pl.DataFrame,
    tables: Tables,
    *,
    checked: Path,
    files: Sequence[Any],
    scores: Mapping[str, str],
    genome_build: str | None = None,
    minimum_match: float = 0.75,
    palindromic: str = "drop",
    variants: str = "common",
    vcf_field: str | None = None,
    missing: Mapping[str, Any] | None = None,
    quality: Mapping[str, Any] | None = None,
    ancestry: Mapping[str, Any] | None = None,
) -> BuiltFeatures:
    """Join what stage `genotypes` made of each patient's sample to every prediction time.

    Patients without a sample, or whose samples failed quality control, have null.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables; none is used: the stage has read them.
        checked: the folder of stage `genotypes`.
        files: genotype files, relative to the study's source folder.
        scores: name of a score to its scoring file.
        genome_build: of the genotypes.
        minimum_match: least share of a score's rows that must match in each genotype file, above 0, at most 1.
        palindromic: drop, keep or frequency.
        variants: common or each.
        vcf_field: GT, DS or None.
        missing: imputation and frequencies.
        quality: thresholds and controls.
        ancestry: reference, or in_fold.

    Raises:
        BadInput: the stage's files are not there.
    """
    del tables, files, scores, genome_build, minimum_match, palindromic
    del variants, vcf_field, missing, quality, ancestry
    absent = [name for name in (SCORES, COLUMNS, REPORT) if not (checked / name).is_file()]
    if absent:
        raise BadInput(f"{checked}: {', '.join(absent)} is not there: run dvc repro from genotypes.")
    of_patients = pl.read_parquet(checked / SCORES, memory_map=False)
    columns = pl.read_parquet(checked / COLUMNS, memory_map=False)
    frame = prediction_times.select("prediction_id", "patient_id").join(
        of_patients, on="patient_id", how="left", maintain_order="left", validate="m:1"
    )
    names = columns["column"].to_list()
    scored = columns.filter((pl.col("role") == "predictor") & (pl.col("kind") == "number"))[
        "column"
    ].to_list()
    report = {
        **json.loads((checked / REPORT).read_text(encoding="utf-8")),
        "predictions": frame.height,
        "predictions_with_a_score": frame.filter(pl.any_horizontal(pl.col(scored).is_not_null())).height,
    }
    return BuiltFeatures(frame.select("prediction_id", *names), columns, report)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check the set's settings before anything is read; raises BadInput with every problem."""
    GeneticSettings.from_study(settings)
