"""Small PLINK and scoring files for the tests of the genetic set, and a plain reference computation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from bed_reader import to_bed
from numpy.typing import NDArray

Variant = tuple[str, int, str, str]  # chromosome, position, A1, A2
ScoreRow = Mapping[str, object]

COLUMNS = ("chr_name", "chr_position", "effect_allele", "other_allele", "effect_weight")


def write_genotypes(
    prefix: Path, copies_of_a1: NDArray[np.float64], variants: Sequence[Variant], samples: Sequence[str]
) -> None:
    """Write .bed, .bim and .fam; NaN is a missing genotype."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    to_bed(
        prefix.with_name(prefix.name + ".bed"),
        np.ascontiguousarray(copies_of_a1),
        properties={
            "fid": list(samples),
            "iid": list(samples),
            "chromosome": [variant[0] for variant in variants],
            "sid": [f"v{number}" for number in range(len(variants))],
            "bp_position": [variant[1] for variant in variants],
            "allele_1": [variant[2] for variant in variants],
            "allele_2": [variant[3] for variant in variants],
        },
        num_threads=1,
    )


def write_score(path: Path, rows: Sequence[ScoreRow], header: Mapping[str, str] | None = None) -> None:
    """Write a scoring file with the columns that its first row has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    lines = [f"#{key}={value}" for key, value in (header or {"pgs_id": "PGS999999"}).items()]
    lines.append("\t".join(columns))
    lines += ["\t".join("" if row[name] is None else str(row[name]) for name in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def score_row(place: int, effect: str, other: str | None, weight: float, **more: object) -> dict[str, object]:
    return {**dict(zip(COLUMNS, ("1", place, effect, other, repr(float(weight))), strict=True)), **more}


def mapping(samples: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Tables in which sample s belongs to patient p-s."""
    columns = {"sample_id": samples, "patient_id": [f"p-{sample}" for sample in samples]}
    return {"genotypes": pl.DataFrame(columns, schema={"sample_id": pl.String, "patient_id": pl.String})}


def times(samples: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": [f"baseline-{number}-1" for number in range(len(samples))],
            "patient_id": [f"p-{sample}" for sample in samples],
        }
    )


def plain_score(
    copies_of_a1: NDArray[np.float64], variants: Sequence[Variant], rows: Sequence[ScoreRow]
) -> list[float | None]:
    """The score of every sample by nested loops, for rows whose alleles are those of the variant at their position."""
    column = {variant[1]: number for number, variant in enumerate(variants)}
    scores: list[float | None] = []
    for sample in copies_of_a1:
        total, called, weighed = 0.0, 0, 0
        for row in rows:
            place = column[int(str(row["chr_position"]))]
            copies = sample[place]
            effect_is_a1 = row["effect_allele"] == variants[place][2]
            frequency = row.get("allelefrequency_effect")
            if np.isnan(copies):
                if frequency is None:
                    continue
                copies = 2 * float(str(frequency))
            else:
                called += 1
                copies = copies if effect_is_a1 else 2 - copies
            total += copies * float(str(row["effect_weight"]))
            weighed += 1
        scores.append(total * len(rows) / weighed if called else None)
    return scores
