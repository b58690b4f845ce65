"""The same figures for women and men, age bands, networks and countries: computed within fold, then combined."""

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_in_linked_tables
from experiments.evaluation.combining import FEWEST, Units, combined
from experiments.evaluation.reporting import (
    HIDDEN,
    Evaluation,
    Row,
    figure_row,
    part_intervals,
)
from experiments.evaluation.sample import Part, Sample, distinct

EVERYBODY = ""
SUBGROUP_MEASURES = ("auroc", "brier", "observed_to_expected")


def subgroup_rows(evaluation: Evaluation, sample: Sample, parts: Sequence[Part]) -> list[Row]:
    """Return the figures of every declared subgroup under one scheme.

    Leave-country-out reports each direction on its own, and later patients are one part; the other schemes have one
    combined figure per level. A level that is
    not recorded is a level, so that no count follows from the others and the total.
    """
    rows: list[Row] = []
    for variable in evaluation.subgroups:
        if sample.kind == "temporal":
            levels, tables = _hidden(parts, variable, evaluation.smallest_cell)
            for part in parts:
                later = _of_direction(evaluation, sample, part, variable, set(levels[tables[EVERYBODY]]))
                rows += [{**row, "repeat": None, "fold": None, "group": None} for row in later]
        elif sample.kind == "leave_country_out":
            if variable != "country":
                levels, tables = _hidden(parts, variable, evaluation.smallest_cell)
                for part in parts:
                    hidden = tables[str(part.places["country"][0])]
                    rows += _of_direction(evaluation, sample, part, variable, set(levels[hidden]))
        else:
            rows += _over_folds(evaluation, sample, parts, variable)
    return rows


def _over_folds(evaluation: Evaluation, sample: Sample, parts: Sequence[Part], variable: str) -> list[Row]:
    levels, tables = _hidden(parts, variable, evaluation.smallest_cell)
    rows = []
    for level, is_hidden in zip(levels, tables[EVERYBODY], strict=True):
        whole = _joined(_first_repeat(parts), variable, level)
        name = f"{variable}: {level}"
        if is_hidden:
            rows += [figure_row(metric, HIDDEN, None, None, subgroup=name) for metric in SUBGROUP_MEASURES]
            continue
        own = [part.take(part.places[variable] == level) for part in parts]
        own = [part for part in own if len(part.label)]
        rows += [
            figure_row(
                metric,
                interval,
                len(whole.label),
                whole.events,
                patients=distinct(whole.patient),
                subgroup=name,
            )
            for metric in SUBGROUP_MEASURES
            for interval in combined(sample.kind, own, metric, sample.test_to_train, _fold_units(own))[:1]
        ]
    return rows


def _of_direction(
    evaluation: Evaluation, sample: Sample, part: Part, variable: str, hidden: Container[str]
) -> list[Row]:
    rows = []
    for level in np.unique(part.places[variable]):
        some = part.take(part.places[variable] == level)
        place: Row = {
            "repeat": part.repeat,
            "fold": part.fold,
            "group": part.group,
            "subgroup": f"{variable}: {level}",
        }
        if level in hidden:
            rows += [figure_row(metric, HIDDEN, None, None, **place) for metric in SUBGROUP_MEASURES]
            continue
        found = part_intervals(evaluation, sample, some, SUBGROUP_MEASURES)
        rows += [
            figure_row(
                metric,
                found[metric],
                len(some.label),
                some.events,
                patients=distinct(some.patient),
                **place,
            )
            for metric in SUBGROUP_MEASURES
        ]
    return rows


def _hidden(
    parts: Sequence[Part], variable: str, smallest_cell: int
) -> tuple[NDArray[np.str_], dict[str, NDArray[np.bool_]]]:
    """Return the levels, and which of them are hidden for everybody and in each country.

    The schemes report the same levels for everybody and for each country: their tables are linked.
    """
    own = _first_repeat(parts)
    levels = np.unique(np.concatenate([part.places[variable] for part in own]))
    countries = np.unique(np.concatenate([part.places["country"] for part in own]))
    by_level = [_joined(own, variable, level) for level in levels]
    tables = [by_level] + (
        [[part.take(part.places["country"] == name) for part in by_level] for name in countries]
        if variable != "country"
        else []
    )
    counts = np.array([[part.cell() for part in table] for table in tables], dtype=np.int64)
    hidden = hidden_in_linked_tables(counts, counts[:, :, 0] > 0, smallest_cell)
    return levels, dict(zip((EVERYBODY, *map(str, countries)), hidden, strict=False))


def _first_repeat(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.repeat == parts[0].repeat]


def _fold_units(parts: Sequence[Part]) -> Units:
    """Return the left-out groups in which the level has enough events and non-events."""
    kept = tuple(part for part in parts if part.events >= FEWEST and part.others >= FEWEST)
    return Units(kept, f"{len(kept)} of {len(parts)} left-out groups with enough events")


def _joined(parts: Sequence[Part], variable: str, level: str) -> Part:
    """Return one repeat's rows of a level, for counting only: figures are never computed across folds."""
    own = [part.take(part.places[variable] == level) for part in parts]
    places = {name: np.concatenate([part.places[name] for part in own]) for name in own[0].places}
    label, risk, weight = (
        np.concatenate([getattr(part, name) for part in own]) for name in ("label", "risk", "weight")
    )
    patient = np.concatenate([part.patient for part in own])
    return Part(own[0].repeat, -1, level, label, risk, weight, patient, places)
