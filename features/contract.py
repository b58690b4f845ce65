"""What every feature set promises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

Tables = Mapping[str, pl.DataFrame]  # the canonical tables by name, as in features.schema.TABLES


@dataclass(frozen=True)
class BuiltFeatures:
    """A feature set for every prediction time.

    Attributes:
        frame: one row per prediction in the order of the prediction times: prediction_id, then columns named
            <set>_<feature>; Float64 for numbers, String for categories, null where not known.
        columns: one row per feature column, as in features.schema.ColumnDescriptions.
        report: counts worth a reader's eye (match rates, modalities without a value), for the set's JSON file.
    """

    frame: pl.DataFrame
    columns: pl.DataFrame
    report: Mapping[str, object]


@dataclass(frozen=True)
class FeatureSet:
    """A registered feature set.

    Attributes:
        build: build(prediction_times, tables, *, ...settings of the set as keyword-only arguments). Nothing is fitted,
            and no row of another patient is seen except through declared reference files.
        reads_source: the set also reads files of the study's source folder (genotypes); `build` then takes the
            keyword `source`, that folder.
    """

    build: Callable[..., BuiltFeatures]
    reads_source: bool = False
