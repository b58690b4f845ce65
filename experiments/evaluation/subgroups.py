"""The same figures for women and men, age bands, networks and countries: computed within fold, then combined."""

from collections.abc import Sequence

import numpy as np

from experiments.evaluation.combining import FEWEST, Units, combined
from experiments.evaluation.reporting import (
    HIDDEN,
    Evaluation,
    Row,
    figure_row,
    hidden_parts,
    part_intervals,
)
from experiments.evaluation.sample import Part, Sample

SUBGROUP_MEASURES = ("auroc", "brier", "observed_to_expected")


def subgroup_rows(evaluation: Evaluation, sample: Sample, parts: Sequence[Part]) -> list[Row]:
    """Return the figures of every declared subgroup under one scheme.

    Leave-country-out reports each direction on its own; the other schemes one combined figure per level. A level that is
    not recorded is a level, so that no count follows from the others and the total.
    """
    rows: list[Row] = []
    for variable in evaluation.subgroups:
        if sample.kind == "leave_country_out":
            if variable != "country":
                for part in parts:
                    rows += _of_direction(evaluation, sample, part, variable)
        else:
            rows += _over_folds(evaluation, sample, parts, variable)
    return rows


def _over_folds(evaluation: Evaluation, sample: Sample, parts: Sequence[Part], variable: str) -> list[Row]:
    levels = np.unique(np.concatenate([part.places[variable] for part in parts]))
    once = [
        _joined([part for part in parts if part.repeat == parts[0].repeat], variable, level)
        for level in levels
    ]
    hidden = hidden_parts(once, evaluation.smallest_cell)
    rows = []
    for level, whole, is_hidden in zip(levels, once, hidden, strict=True):
        name = f"{variable}: {level}"
        if is_hidden:
            rows += [figure_row(metric, HIDDEN, None, None, subgroup=name) for metric in SUBGROUP_MEASURES]
            continue
        own = [part.take(part.places[variable] == level) for part in parts]
        own = [part for part in own if len(part.label)]
        rows += [
            figure_row(metric, interval, len(whole.label), whole.events, subgroup=name)
            for metric in SUBGROUP_MEASURES
            for interval in combined(sample.kind, own, metric, sample.test_to_train, _fold_units(own))[:1]
        ]
    return rows


def _of_direction(evaluation: Evaluation, sample: Sample, part: Part, variable: str) -> list[Row]:
    levels = np.unique(part.places[variable])
    own = [part.take(part.places[variable] == level) for level in levels]
    rows = []
    for level, some, is_hidden in zip(levels, own, hidden_parts(own, evaluation.smallest_cell), strict=True):
        place = {
            "repeat": part.repeat,
            "fold": part.fold,
            "group": part.group,
            "subgroup": f"{variable}: {level}",
        }
        if is_hidden:
            rows += [figure_row(metric, HIDDEN, None, None, **place) for metric in SUBGROUP_MEASURES]
            continue
        found = part_intervals(evaluation, sample, some, SUBGROUP_MEASURES)
        rows += [
            figure_row(metric, found[metric], len(some.label), some.events, **place)
            for metric in SUBGROUP_MEASURES
        ]
    return rows


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
