"""Differences of each level of a subgroup from the others, within fold, with a test that counts how many were made."""

from collections.abc import Sequence

import numpy as np

from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from experiments.examination.estimates import (
    COMBINED_KINDS,
    Estimate,
    Frame,
    Quantity,
    across_folds,
    across_units,
    alone,
    enough,
    estimates,
    joined,
    measure_of,
    spread,
)
from experiments.examination.setting import (
    HIDDEN,
    Evaluated,
    Examination,
    Row,
    counts,
    figure_row,
    hidden_levels,
)

RATIO = "observed_to_expected"
COMPARED = ("auroc", RATIO)
ALL_OTHERS = "all others"
FEWEST_LEVELS = 2


def subgroup_differences(examination: Examination, tested: Evaluated, variables: Sequence[str]) -> list[Row]:
    """Return the rows of one scheme: each level of each variable against the others; of two levels, the first alone.

    Within each fold or left-out group the figure of the others is subtracted from the level's (of observed over expected:
    the ratio is taken), then combined. Under k-fold observed and expected are added up over folds before ratios are taken:
    the mean of ratios of a few events each is too high (1.06 for equal groups among 300 patients with 90 events). p values are two-sided, and Holm's over all that are made of one metric.
    """
    rows: list[Row] = []
    for variable in variables:
        levels, hidden = hidden_levels(tested.parts, variable, examination.smallest_cell)
        if len(levels) < FEWEST_LEVELS:
            continue
        for level in levels if len(levels) > FEWEST_LEVELS else levels[:1]:
            others = ALL_OTHERS if len(levels) > FEWEST_LEVELS else levels[1]
            for metric in COMPARED:
                for item in level_difference(tested, variable, level, metric):
                    hide = hidden.get(item.group, hidden[None])[levels.index(level)]
                    found = Estimate(item.group, HIDDEN) if hide else item
                    some = [part.take(part.places[variable] == level) for part in tested.parts]
                    n, events = (None, None) if hide else counts(some, item.group)
                    place = {"variable": variable, "level": level, "others": others, "p": found.p}
                    rows.append(figure_row(tested.sample, metric, found, n, events, **place))
    return _with_holm(rows)


def level_difference(tested: Evaluated, variable: str, level: str, metric: str) -> list[Estimate]:
    """Return the difference of one level from the others under one scheme."""
    quantity = difference(variable, level, metric)
    sample = tested.sample
    if sample.kind not in COMBINED_KINDS:
        parts = [part for part in tested.parts if len(np.unique(part.places[variable])) > 1]
        return estimates(Frame(sample.kind, sample.test_to_train), parts, quantity)
    if sample.kind == "stratified_kfold" and metric == RATIO:
        return [alone(joined(tested.parts), quantity, None)]
    values = np.array([quantity.value(part) for part in tested.parts], dtype=np.float64)
    if sample.kind == "stratified_kfold":
        return [across_folds(values, sample.test_to_train, quantity.scale)]
    kept = [
        (part, value)
        for part, value in zip(tested.parts, values, strict=True)
        if all(enough(part.take(rows)) for rows in _sides(part, variable, level))
    ]
    spreads = np.array([spread(part, quantity, value) for part, value in kept], dtype=np.float64)
    note = f"{len(kept)} of {len(tested.parts)} left-out groups with enough events"
    return [
        across_units(np.array([value for _, value in kept], dtype=np.float64), spreads, quantity.scale, note)
    ]


def difference(variable: str, level: str, metric: str) -> Quantity:
    """Return the quantity of a part: the metric of a level minus that of the others, or over it for observed over expected."""
    own = measure_of(metric)
    ratio = metric == RATIO

    def value(part: Part) -> float:
        inside, outside = (own.value(part.take(rows)) for rows in _sides(part, variable, level))
        if not ratio:
            return inside - outside
        return inside / outside if outside > 0 else np.nan

    def influence(part: Part) -> Floats:
        found = np.zeros(len(part.label), dtype=np.float64)
        for rows, sign in zip(_sides(part, variable, level), (1.0, -1.0), strict=True):
            some = part.take(rows)
            found[rows] = sign * own.influence(some) / (own.value(some) if ratio else 1.0)
        return found * (value(part) if ratio else 1.0)

    return Quantity(value, influence, "log" if ratio else "identity")


def _sides(
    part: Part, variable: str, level: str
) -> tuple[np.typing.NDArray[np.bool_], np.typing.NDArray[np.bool_]]:
    inside = np.asarray(part.places[variable] == level, dtype=np.bool_)
    return inside, ~inside


def holm(p: Floats) -> Floats:
    """Return p values adjusted for their number, shape (tests,) (Holm 1979, Scandinavian Journal of Statistics 6, 65)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _with_holm(rows: Sequence[Row]) -> list[Row]:
    families: dict[tuple[str, str | None], list[int]] = {}
    for number, row in enumerate(rows):
        if row["p"] is not None:
            families.setdefault((row["metric"], row["group"]), []).append(number)
    found = [{**row, "p_holm": None, "tests": 0} for row in rows]
    for numbers in families.values():
        adjusted = holm(np.array([rows[number]["p"] for number in numbers], dtype=np.float64))
        for number, value in zip(numbers, adjusted, strict=True):
            found[number] |= {"p_holm": float(value), "tests": len(numbers)}
    return found
