"""The genetic set of a small study: stage `genotypes` on the files of a folder, and the set built from what it wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.genetics.checked import CheckedGenotypes
from experiments.genetics.prepare import Plan, genotyped_people, prepare_genotypes
from features.contract import BuiltFeatures
from features.genetic import build
from features.genetics.inputs import read_declared_frequencies, read_inputs
from features.genetics.settings import GeneticSettings
from features.schema import Measurements
from pipeline.stages.genotypes import write_checked


def patients_of(mapping: pl.DataFrame) -> pl.DataFrame:
    """One patient per patient_id of the mapping, in its order, of unknown sex."""
    ids = mapping["patient_id"].unique(maintain_order=True)
    return pl.DataFrame({"patient_id": ids}).with_columns(
        position=pl.int_range(pl.len(), dtype=pl.Int64),
        sex=pl.lit(None, dtype=pl.String),
        network=pl.lit("one network"),
    )


def check(source: Path, tables: Mapping[str, pl.DataFrame], **settings: Any) -> CheckedGenotypes:
    """What the stage makes of the files, everything public."""
    given = GeneticSettings.from_study(settings)
    inputs = read_inputs(source, given)
    people = genotyped_people(
        tables["genotypes"],
        tables.get("patients", patients_of(tables["genotypes"])),
        tables.get("measurements", Measurements.create_empty()),
        given.controls,
    )
    plan = Plan("small", "Small study", given, smallest_cell=0, seed=1)
    return prepare_genotypes(inputs, people, plan, read_declared_frequencies(source, given, inputs))


def genetic_set(
    source: Path, times: pl.DataFrame, tables: Mapping[str, pl.DataFrame], **settings: Any
) -> BuiltFeatures:
    """The set for these prediction times."""
    folder = source / "checked"
    write_checked(check(source, tables, **settings), folder)
    return build(times, {}, checked=folder, **settings)
