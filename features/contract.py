"""What every feature set promises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
class Definition:
    """What one feature of a set is, known before any data are seen.

    Attributes:
        name: without the set's name; the column is <set>_<name>.
        description: one line for the card.
        unit: null for flags, categories and ratios without one.
        source: paper, guideline or instrument that the definition comes from.
        needs: measured variables or tables that it is computed from.
        kind: number or category.
        role: predictor, or context: a column that no learner uses as a predictor and adjustments in the fold stand on,
            such as the plate that a value was measured on.
    """

    name: str
    description: str
    unit: str | None
    source: str
    needs: tuple[str, ...]
    kind: Literal["number", "category"] = "number"
    role: Literal["predictor", "context"] = "predictor"

    @property
    def needed(self) -> str:
        """Return what it is computed from as text; a scale's items as "panss_1 to panss_30"."""
        parts: list[list[str]] = []
        for need in self.needs:
            stem, _, number = need.rpartition("_")
            before = f"{stem}_{int(number) - 1}" if stem and number.isdigit() else None
            if parts and parts[-1][-1] == before:
                parts[-1].append(need)
            else:
                parts.append([need])
        texts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in parts]
        return ", ".join(texts)


# Keywords of a builder that a stage gives and a study file may not: the source folder, and what a time is
# ("date": days since 1970-01-01, "days": since baseline, "order": a rank), the folder of stage `genotypes`.
GIVEN_BY_STAGE = ("source", "time", "checked")


@dataclass(frozen=True)
class FeatureSet:
    """A registered feature set.

    Attributes:
        build: build(prediction_times, tables, *, ...settings of the set as keyword-only arguments). Nothing is fitted,
            and no row of another patient is seen except through declared reference files. A builder that must know
            what a time is takes the keyword `time`, which the stage gives.
        reads_source: the set also reads files of the study's source folder (genotypes); `build` then takes the
            keyword `source`, that folder.
        file_settings: settings that name files of the source folder, of a set that reads it only where a study gives them.
        definitions: the set's named features, for the reference page; columns that a study adds come on top.
        with_settings: named features that only some settings give, such as a table of norms.
        reads_genotypes: `build` takes the keyword `checked`, the folder of stage `genotypes`, which reads the source folder.
        portable: portable(settings, source folder) returns what of the settings another site can compare, and the files of
            the definition by name; None: every setting, files as `file_settings` and values of mappings name them.
        check: raises BadInput with every problem of the set's settings, before anything is read; None: signature alone.
    """

    build: Callable[..., BuiltFeatures]
    reads_source: bool = False
    definitions: tuple[Definition, ...] = ()
    file_settings: tuple[str, ...] = ()
    with_settings: tuple[Definition, ...] = ()
    reads_genotypes: bool = False
    check: Callable[[Mapping[str, object]], None] | None = None
    portable: Callable[[Mapping[str, object], Path], tuple[dict[str, object], dict[str, str]]] | None = None

    def reads(self, settings: Mapping[str, object]) -> bool:
        """Tell whether the set, with a study's settings, reads files of the source folder."""
        return (
            self.reads_source
            or self.reads_genotypes
            or any(settings.get(name) for name in self.file_settings)
        )
