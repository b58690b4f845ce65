"""What a study's settings say about columns and outcome, as a bundle holds it: without the files they come from."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.bundle.contents import Column, Definition, VariableDefinition
from features.registry import FEATURE_SETS
from pipeline.errors import BadSettings
from pipeline.intake.catalogued import names_mapped, with_catalogue
from pipeline.settings.cohort import Variable
from pipeline.settings.study import Study

# Settings that say where a site's own files lie, not what a column means.
OF_THE_SITE: Mapping[str, tuple[str, ...]] = {"inflammatory": ("bridge",)}


def definition_of(
    study: Study,
    outcome: str | None,
    source: Path | None,
    columns: pl.DataFrame | None = None,
    *,
    among: Collection[str] | None = None,
    index: str | None = None,
) -> Definition:
    """Return what a study defines.

    Args:
        study: the settings.
        outcome: the outcome; None for strata, which have none.
        source: the study's source folder, whose files settings may name; None where no set names any.
        columns: schema ColumnDescriptions, those that a model uses: sets and variables are then those behind them. None:
            all that the study declares.
        among: with `columns` None, only the sets of these names.
        index: the rule of prediction times, where there is no outcome to name it.
    """
    asked = None if outcome is None else study.outcomes[outcome]
    rule = index if asked is None else asked.index
    if rule is None:
        raise ValueError("an outcome or a rule of prediction times is needed")
    used = None if columns is None else tuple(_column(row, study) for row in columns.iter_rows(named=True))
    declared = [name for name in study.feature_sets if among is None or name in among]
    sets = sorted(declared if used is None else {column.feature_set for column in used})
    plain = study.model_dump(mode="json", include={"feature_sets"})["feature_sets"]
    settings: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    for name in sets:
        settings[name], hashes = _portable(name, plain[name], source)
        files |= hashes
    return Definition(
        time=study.cohort.time,
        prediction_times=study.prediction_times[rule].model_dump(mode="json"),
        outcome={} if asked is None else asked.model_dump(mode="json"),
        horizons=() if asked is None else asked.horizons,
        feature_sets=settings,
        reference_files=files,
        variables=_variables(study, used),
        columns=used or (),
    )


def _column(row: Mapping[str, Any], study: Study) -> Column:
    feature_set, column = row["feature_set"], row["column"]
    name = column.removeprefix(f"{feature_set}_")
    registered = FEATURE_SETS[feature_set]
    named = {item.name: item.needs for item in (*registered.definitions, *registered.with_settings)}
    taken_as_it_is = (name,) if name in _dictionary(study) else None
    return Column(
        **{key: row[key] for key in Column.model_fields if key != "needs"},
        needs=named.get(name, taken_as_it_is),
    )


def _variables(study: Study, columns: tuple[Column, ...] | None) -> dict[str, VariableDefinition]:
    wanted = None if columns is None else {need for column in columns for need in column.needs or ()}
    return {
        name: VariableDefinition(kind=item.kind, unit=item.unit, range=item.range, levels=item.levels)
        for name, item in sorted(_dictionary(study).items())
        if item.role == "predictor" and (wanted is None or name in wanted)
    }


def _dictionary(study: Study) -> dict[str, Variable]:
    """What the study declares, and what the catalogue knows of the variables that its files are mapped to."""
    return with_catalogue(study.dictionary, names_mapped(study.cohort))


def _portable(
    name: str, settings: Mapping[str, Any], source: Path | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a set's settings as another site can compare them: a file that they name is known by its content."""
    if not FEATURE_SETS[name].reads(settings):
        return dict(settings), {}
    portable = FEATURE_SETS[name].portable
    if portable is not None:
        rules, files = portable(settings, source or Path())
        return rules, {f"feature_sets.{name}.{key}": _sha256(source, path) for key, path in files.items()}
    kept: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    for key, value in settings.items():
        if key in OF_THE_SITE.get(name, ()):
            continue
        if key in FEATURE_SETS[name].file_settings and isinstance(value, str):
            hashes[f"feature_sets.{name}.{key}"] = _sha256(source, value)
            continue
        if isinstance(value, dict) and value and all(isinstance(item, str) for item in value.values()):
            kept[key] = sorted(value)
            hashes |= {
                f"feature_sets.{name}.{key}.{item}": _sha256(source, path) for item, path in value.items()
            }
        else:
            kept[key] = value
    return kept, hashes


def _sha256(source: Path | None, path: str) -> str:
    if source is None or not (source / path).is_file():
        raise BadSettings(
            f"The file {path}, which the study's feature sets name, is not in the study's source folder."
        )
    return hashlib.sha256((source / path).read_bytes()).hexdigest()
