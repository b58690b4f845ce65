"""Can another site build the model's columns and its outcome as they were defined? Every difference by name."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from experiments.bundle.contents import Column, Definition

# Keys of an outcome that make it no other one: names, words, and what is judged at the study where a model is made. All
# others are compared, those of later versions among them.
WORDS = (
    "attendance_covariates", "estimand", "follow_up_limit", "index", "proxy_limit", "signed_off", "thresholds", "title",
    "treatments", "visit_dates_limit",
)  # fmt: skip
HORIZONS = (
    "horizon_days",
    "horizons_days",
    "main_horizon_days",
)  # compared as one, where the outcome has times


@dataclass(frozen=True)
class Match:
    """What was found before anything is built.

    Attributes:
        problems: why the columns cannot be built as defined; one sentence each.
        differences: how the outcome or the prediction times differ; they may be accepted.
        notes: differences that change no value's meaning.
        absent: columns that the site cannot build because it has no such measurement.
        horizons: those that both have, in days; empty for a label.
    """

    problems: tuple[str, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    absent: tuple[str, ...]
    horizons: tuple[float, ...]


def match_definitions(ours: Definition, site: Definition, *, can_miss: frozenset[str]) -> Match:
    """Compare what a bundle defines with what a site's study file declares.

    Args:
        ours: of the bundle.
        site: of the site's study; its columns are not built yet.
        can_miss: columns that the model can do without at a whole site.
    """
    absent = _absent(ours, site)
    differences = _outcome_differences(ours, site)
    horizons = tuple(day for day in ours.horizons if day in site.horizons)
    lost = (
        []
        if horizons or not ours.horizons
        else [
            f"no horizon in common: the bundle predicts at {_shown(ours.horizons)} days, this outcome has "
            f"{_shown(site.horizons)}"
        ]
    )
    if (ours.time == "order") != (site.time == "order"):
        lost.append(
            f"cohort.time is {ours.time} in the bundle and {site.time} here: days and ranks do not compare"
        )
    problems = [*lost, *_set_problems(ours, site), *_variable_problems(ours, site)]
    problems += [
        f"{name} cannot be built here ({_why(ours, site, name)}), and the model was not made to do without it"
        for name in absent
        if name not in can_miss
    ]
    return Match(
        tuple(problems), tuple(differences), tuple(_range_notes(ours, site)), tuple(absent), horizons
    )


def compare_columns(
    columns: Sequence[Column], built: pl.DataFrame, can_miss: frozenset[str]
) -> tuple[list[str], list[str]]:
    """Return how columns built at a site differ from those that the model was fitted on, and which it has to miss.

    Args:
        columns: of the bundle.
        built: schema ColumnDescriptions.
        can_miss: columns that the model can do without at a whole site.

    Returns:
        One sentence per problem, and the columns that were not built though the model can do without them.
    """
    found = {row["column"]: row for row in built.iter_rows(named=True)}
    problems, absent = [], []
    for column in columns:
        here = found.get(column.column)
        if here is None and column.column in can_miss:
            absent.append(column.column)
        elif here is None:
            problems.append(
                f"{column.column} has no value at this site ({column.description}), and the model was not made to do "
                "without it"
            )
        else:
            problems += [
                f"{column.column}: {key} is {_shown(getattr(column, key))} in the bundle and {_shown(here[key])} here"
                for key in ("kind", "unit", "description")
                if getattr(column, key) != here[key]
            ]
    return problems, absent


def missable(
    state: Any, columns: Sequence[Column], present: Collection[str], *, by_modality: bool
) -> frozenset[str]:
    """Return the columns that a model can do without at a whole site.

    Args:
        state: the model's stored state.
        columns: of the bundle.
        present: the feature sets of which the site has columns.
        by_modality: the model was made to predict with any modality missing: then a set may be absent as a whole.
    """
    whole = {column.column for column in columns if by_modality and column.feature_set not in present}
    return able_to_miss(state) | whole


def able_to_miss(state: Any) -> frozenset[str]:
    """Return the columns whose absence a fitted model has a way of its own with, from its stored state.

    A tree learner sends missing numbers down a learnt branch; a category may have a level for what is missing. A number
    that would be filled with the training median is not among them: for a whole site that is a guess.
    """
    found: set[str] = set()
    if isinstance(state, Mapping):
        name = state.get("name")
        if isinstance(name, str) and (
            state.get("native") is True or ("levels" in state and state.get("missing") is True)
        ):
            found.add(name)
    if isinstance(state, Mapping | list):
        for value in state.values() if isinstance(state, Mapping) else state:
            found |= able_to_miss(value)
    return frozenset(found)


def _absent(ours: Definition, site: Definition) -> list[str]:
    return [
        column.column
        for column in ours.columns
        if column.feature_set not in site.feature_sets
        or any(need in ours.variables and need not in site.variables for need in column.needs or ())
    ]


def _why(ours: Definition, site: Definition, name: str) -> str:
    column = next(column for column in ours.columns if column.column == name)
    if column.feature_set not in site.feature_sets:
        return f"feature_sets has no {column.feature_set}"
    lacking = [need for need in column.needs or () if need in ours.variables and need not in site.variables]
    return f"dictionary has no {', '.join(lacking)}"


def _set_problems(ours: Definition, site: Definition) -> list[str]:
    problems = []
    for name, settings in sorted(ours.feature_sets.items()):
        if name not in site.feature_sets:
            continue
        here = site.feature_sets[name]
        problems += [
            f"feature_sets.{name}.{key} is {_shown(settings.get(key))} in the bundle and {_shown(here.get(key))} here"
            for key in sorted({*settings, *here})
            if _plain(settings.get(key)) != _plain(here.get(key))
        ]
    problems += [
        f"the file of {setting} is not the one that the model's columns were computed with"
        if setting in site.reference_files
        else f"{setting} names no file here that can be read"
        for setting, sha256 in sorted(ours.reference_files.items())
        if setting.split(".")[1] in site.feature_sets and site.reference_files.get(setting) != sha256
    ]
    return problems


def _variable_problems(ours: Definition, site: Definition) -> list[str]:
    return [
        f"dictionary.{name}.{key} is {_shown(getattr(variable, key))} in the bundle and "
        f"{_shown(getattr(site.variables[name], key))} here: declare it alike, with a conversion of the files' unit"
        for name, variable in sorted(ours.variables.items())
        if name in site.variables
        for key in ("kind", "unit", "levels")
        if getattr(variable, key) != getattr(site.variables[name], key)
    ]


def _range_notes(ours: Definition, site: Definition) -> list[str]:
    return [
        f"dictionary.{name}.range is {_shown(variable.range)} in the bundle and {_shown(site.variables[name].range)} here: "
        "values outside are set aside"
        for name, variable in sorted(ours.variables.items())
        if name in site.variables and variable.range != site.variables[name].range
    ]


def _outcome_differences(ours: Definition, site: Definition) -> list[str]:
    aside = {*WORDS, *(HORIZONS if ours.horizons else ())}
    keys = sorted({*ours.outcome, *site.outcome} - aside)
    pairs = [(f"outcome.{key}", ours.outcome.get(key), site.outcome.get(key)) for key in keys]
    pairs.append(("the outcome's horizons", ours.horizons, site.horizons))
    pairs += [
        (f"prediction_times.{key}", ours.prediction_times.get(key), site.prediction_times.get(key))
        for key in sorted({*ours.prediction_times, *site.prediction_times})
    ]
    return [
        f"{name}: {_shown(before)} in the bundle, {_shown(here)} here"
        for name, before, here in pairs
        if _plain(before) != _plain(here)
    ]


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=list)


def _shown(value: Any) -> str:
    if value is None:
        return "not declared"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
