"""Counts of the quality control of genotypes, step by step, for flow charts."""

from collections.abc import Sequence

import polars as pl

from features.genetics.genotypes import GenotypeFile
from features.genetics.sample_pairs import DUPLICATE, FIRST_DEGREE, SECOND_DEGREE
from features.genetics.sample_quality import HETEROZYGOSITY, LOW_CALL_RATE, SEX, TWO_PEOPLE
from features.genetics.sex_check import SEX_CHECKS
from features.genetics.variant_quality import LOW_CALL_RATE as LOW_VARIANT_CALL_RATE
from features.genetics.variant_quality import NOT_DIPLOID, NOT_HARDY_WEINBERG, RARE

_SAMPLE_STEPS = {
    "call rate high enough": LOW_CALL_RATE,
    "heterozygosity as expected": HETEROZYGOSITY,
    "sex as recorded": SEX,
    "samples of one patient agree: kept": TWO_PEOPLE,
}
_VARIANT_STEPS = {
    "on an autosome or X": NOT_DIPLOID,
    "call rate high enough": LOW_VARIANT_CALL_RATE,
    "frequent enough": RARE,
    "in Hardy-Weinberg proportions: kept": NOT_HARDY_WEINBERG,
}


def quality_flow(
    files: Sequence[GenotypeFile],
    *,
    samples: pl.DataFrame,
    variants: pl.DataFrame,
    pairs: pl.DataFrame,
    families: pl.DataFrame,
) -> dict[str, object]:
    """Count what was there, what each step left, and who is related. Counts are exact; whoever shows them suppresses.

    Args:
        files: the files.
        samples: columns SAMPLE_QUALITY.
        variants: columns VARIANT_QUALITY.
        pairs: columns PAIRS.
        families: columns FAMILIES.

    Returns:
        `files`: file, samples, samples_of_patients, variants; `samples`: step, samples; `patients`: step, patients, those with a
        sample left; `variants`: file and steps of step, variants; `sex_checks`: samples by what the check said; `relatives`:
        pairs by relation (pairs of one patient's samples apart), families, patients in families.
    """
    own = dict(samples["file"].value_counts().iter_rows())
    return {
        "files": [
            {
                "file": file.name,
                "samples": len(file.samples),
                "samples_of_patients": own.get(file.name, 0),
                "variants": file.variants.height,
            }
            for file in files
        ],
        "samples": [
            {"step": "samples in the genotype files", "samples": sum(len(file.samples) for file in files)},
            {"step": "of patients of the study", "samples": samples.height},
            *({"step": step, "samples": left.height} for step, left in _left(samples, _SAMPLE_STEPS)),
        ],
        "patients": [
            {"step": "patients with a genotype sample", "patients": samples["patient_id"].n_unique()},
            *(
                {"step": step, "patients": left["patient_id"].n_unique()}
                for step, left in _left(samples, _SAMPLE_STEPS)
            ),
        ],
        "variants": [
            {
                "file": str(name),
                "steps": [
                    {"step": "variants in the file", "variants": of_file.height},
                    *(
                        {"step": step, "variants": left.height}
                        for step, left in _left(of_file, _VARIANT_STEPS)
                    ),
                ],
            }
            for (name,), of_file in variants.group_by("file", maintain_order=True)
        ],
        "sex_checks": {check: samples.filter(pl.col("sex_check") == check).height for check in SEX_CHECKS},
        "relatives": _relatives(pairs, families),
    }


def _left(rows: pl.DataFrame, steps: dict[str, str]) -> list[tuple[str, pl.DataFrame]]:
    """What is left after each step, whose reasons are taken away one by one."""
    left = []
    for step, reason in steps.items():
        rows = rows.filter(pl.col("reason").is_null() | (pl.col("reason") != reason))
        left.append((step, rows))
    return left


def _relatives(pairs: pl.DataFrame, families: pl.DataFrame) -> dict[str, int]:
    same = pl.col("patient_1") == pl.col("patient_2")
    between = pairs.filter(~same)
    return {
        "duplicates_under_two_patients": between.filter(pl.col("relation") == DUPLICATE).height,
        "first_degree": between.filter(pl.col("relation") == FIRST_DEGREE).height,
        "second_degree": between.filter(pl.col("relation") == SECOND_DEGREE).height,
        "samples_of_one_patient_alike": pairs.filter(same & (pl.col("relation") == DUPLICATE)).height,
        "samples_of_one_patient_of_two_people": pairs.filter(same & (pl.col("relation") != DUPLICATE)).height,
        "families": families["family"].n_unique(),
        "patients_in_families": families.height,
    }
