"""The genetic feature set: polygenic scores from PLINK 1 genotypes and PGS Catalog scoring files.

A polygenic score is the sum over variants of the number of effect alleles a patient carries times a weight estimated
elsewhere. The weights are frozen: nothing is chosen or fitted on the cohort, no frequency is taken from it, and a new
patient's score is the same alone as in a batch. Scores stay in the units of the scoring file; scaling and adjustment
for ancestry are fitted inside the fold, in models.

Settings, under `feature_sets.genetic`:

    files: [genotypes/fr, genotypes/de]        # PLINK prefixes, relative to the study's source folder
    scores: {schizophrenia: weights/scz.txt}   # score name: PGS Catalog scoring file, plain or gzip
    minimum_match: 0.75                        # share of a score's variants that each genotype file must hold
    palindromic: drop                          # A/T and C/G variants: drop, or keep (taken as written)

Each genotype file is matched to each score on its own, by chromosome, position and alleles, and the report counts by
file and score what was matched, turned or left out, and how many variants all files share: a score that rests on
different variants in two countries differs between them for no biological reason. Genome builds are not guessed: the
harmonised positions of a scoring file are used where it has them, and a wrong build shows as a low match and is refused.
On chromosome X men count as PLINK codes them (0 or 2), as in plink2; Y and MT are left out and counted. What happens to
missing genotypes stands at `features.genetics.scoring.score_samples`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from features.contract import BuiltFeatures, Tables
from features.errors import BadInput
from features.genetics.matching import UNUSED, Match, match_variants
from features.genetics.plink import GenotypeFile, open_genotypes
from features.genetics.scoring import score_samples
from features.genetics.scoring_files import ScoringFile, read_scoring_file
from features.genetics.settings import GeneticSettings

FEATURE_SET = "genetic"
UNIT = "sum of weights"


def build(
    prediction_times: pl.DataFrame,
    tables: Tables,
    *,
    source: Path,
    files: Sequence[str],
    scores: Mapping[str, str],
    minimum_match: float = 0.75,
    palindromic: str = "drop",
) -> BuiltFeatures:
    """Polygenic scores, `genetic_<score>`, for every prediction time.

    Patients without a genotype sample have null. A patient with several samples has the mean of their scores. Samples
    of the genotype files that `genotypes` does not map to a patient (no consent, withdrawn) are never read.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables; `genotypes` is used.
        source: the study's source folder.
        files: prefixes of .bed/.bim/.fam files relative to `source`; a sample stands in one of them.
        scores: name of a score to its scoring file, relative to `source`.
        minimum_match: least share of a score's rows that must match in each genotype file, between 0 and 1.
        palindromic: what to do with A/T and C/G variants, one of PALINDROMIC_POLICIES.

    Raises:
        BadInput: settings or files cannot be used, or a score matches a file too little; every problem is listed.
    """
    GeneticSettings.from_study(
        {"files": files, "scores": scores, "minimum_match": minimum_match, "palindromic": palindromic}
    )
    genotypes, scoring = _read_all(source, files, scores)
    matches = {
        file.name: [match_variants(score, file.variants, palindromic=palindromic) for score in scoring]
        for file in genotypes
    }
    _refuse_low_match(scoring, matches, minimum_match)
    samples, file_reports = _score_files(genotypes, scoring, matches, tables["genotypes"])
    names = [_column(score) for score in scoring]
    patients = samples.group_by("patient_id", maintain_order=True).agg(pl.col(names).mean())
    frame = prediction_times.select("prediction_id", "patient_id").join(
        patients, on="patient_id", how="left", maintain_order="left"
    )
    report: dict[str, object] = {
        "files": file_reports,
        "scores": {
            score.name: _score_report(score, position, matches) for position, score in enumerate(scoring)
        },
        "minimum_match": minimum_match,
        "palindromic": palindromic,
        **_people_counts(samples, tables["genotypes"], frame.select(names)),
    }
    return BuiltFeatures(frame.select("prediction_id", *names), _describe(scoring), report)


def _read_all(
    source: Path, files: Sequence[str], scores: Mapping[str, str]
) -> tuple[list[GenotypeFile], list[ScoringFile]]:
    """Every genotype and scoring file, in the order of their names; the problems of all of them at once."""
    problems: list[str] = []
    genotypes: list[GenotypeFile] = []
    scoring: list[ScoringFile] = []
    for name in sorted(files):
        try:
            genotypes.append(open_genotypes(source / name, name=name))
        except BadInput as bad:
            problems += bad.problems
    for name, path in sorted(scores.items()):
        try:
            scoring.append(read_scoring_file(source / path, name=name, shown=path))
        except BadInput as bad:
            problems += bad.problems
    samples = [sample for file in genotypes for sample in file.samples]
    if len(set(samples)) < len(samples):
        problems.append(
            f"genetic: {len(samples) - len(set(samples))} sample id(s) stand in more than one of the genotype files; merge "
            "files of the same people (such as one a chromosome) with PLINK, or make ids of different people differ."
        )
    if problems:
        raise BadInput(*problems)
    return genotypes, scoring


def _refuse_low_match(scoring: list[ScoringFile], matches: Mapping[str, list[Match]], minimum: float) -> None:
    problems = []
    for position, score in enumerate(scoring):
        for file, of_file in matches.items():
            match = of_file[position]
            if match.rate < minimum:
                reasons = ", ".join(
                    f"{match.counts[reason]} {reason.replace('_', ' ')}"
                    for reason in UNUSED
                    if match.counts[reason]
                )
                problems.append(
                    f"{file}: {match.counts['matched']} of {match.counts['rows']} variants of the score {score.name} match "
                    f"({match.rate:.1%}, at least {minimum:.0%} needed): {reasons}. Check that the genome build of the "
                    f"genotypes is the score's ({score.genome_build}), impute, or choose another score."
                )
    if problems:
        raise BadInput(*problems)


def _score_files(
    genotypes: list[GenotypeFile],
    scoring: list[ScoringFile],
    matches: Mapping[str, list[Match]],
    mapping: pl.DataFrame,
) -> tuple[pl.DataFrame, dict[str, object]]:
    """One row per mapped sample that a file holds, and a report per file."""
    names = [_column(score) for score in scoring]
    frames = []
    reports: dict[str, object] = {}
    for file in genotypes:
        places = pl.DataFrame({"sample_id": file.samples}).with_row_index("place")
        known = places.join(mapping, on="sample_id", how="inner").sort("place")
        found = score_samples(file, matches[file.name], samples=known["place"].cast(pl.Int64).to_numpy())
        values = pl.DataFrame(found.values, schema=dict.fromkeys(names, pl.Float64), orient="row").fill_nan(
            None
        )
        frames.append(known.select("sample_id", "patient_id").hstack(values))
        reports[file.name] = {
            "samples": len(file.samples),
            "variants": file.variants.height,
            "samples_without_patient": len(file.samples) - known.height,
            "missing_genotype_share": {
                score.name: _share(int(missing), known.height * match.used.height)
                for score, missing, match in zip(scoring, found.missing, matches[file.name], strict=True)
            },
        }
    return pl.concat(frames).sort("sample_id"), reports


def _people_counts(samples: pl.DataFrame, mapping: pl.DataFrame, values: pl.DataFrame) -> dict[str, int]:
    """How far samples, patients and predictions meet."""
    several = samples.filter(pl.col("patient_id").is_duplicated())
    return {
        "mapped_samples_in_no_file": mapping.height - samples.height,
        "patients_with_several_samples": several["patient_id"].n_unique(),
        "predictions": values.height,
        "predictions_with_a_score": values.filter(pl.any_horizontal(pl.all().is_not_null())).height,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _score_report(score: ScoringFile, position: int, matches: Mapping[str, list[Match]]) -> dict[str, Any]:
    everywhere = [set(of_file[position].used["line"]) for of_file in matches.values()]
    return {
        "file": score.path,
        "source": score.source,
        "genome_build": score.genome_build,
        "repeated_rows": score.repeated,
        "variants_matched_in_every_file": len(set.intersection(*everywhere)),
        "matches": {
            file: {**of_file[position].counts, "rate": of_file[position].rate}
            for file, of_file in matches.items()
        },
    }


def _column(score: ScoringFile) -> str:
    return f"{FEATURE_SET}_{score.name}"


def _describe(scoring: list[ScoringFile]) -> pl.DataFrame:
    kinds = pl.Enum(["number", "category"])
    return pl.DataFrame(
        {
            "column": [_column(score) for score in scoring],
            "feature_set": [FEATURE_SET] * len(scoring),
            "kind": pl.Series(["number"] * len(scoring), dtype=kinds),
            "description": [
                f"Polygenic score for {score.header.get('trait_reported') or score.name}: "
                "sum over variants of effect alleles times weight"
                for score in scoring
            ],
            "unit": [UNIT] * len(scoring),
            "source": [score.source for score in scoring],
            "role": pl.Series(["predictor"] * len(scoring), dtype=pl.Enum(["predictor", "context"])),
        }
    )
