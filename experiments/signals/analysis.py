"""Signals of the analysis: whether there are patients and events enough to develop and to evaluate a model."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.signals.outcome import weighted_risk
from experiments.signals.predictors import missing_rows
from experiments.signals.sample_size import (
    Development,
    development_binary,
    development_times,
    evaluation_widths,
)
from experiments.signals.signal import (
    HIDDEN,
    PROBAST,
    Material,
    Signal,
    Verdict,
    count,
    graded,
    patients_with,
)

DAYS = 365.25
RILEY = "Riley 2020, doi 10.1136/bmj.m441"
EVALUATION = "Riley 2021, doi 10.1002/sim.9025"
HUNDRED = "Collins 2016, doi 10.1002/sim.6787; Vergouwe 2005, doi 10.1016/j.jclinepi.2004.06.017"
ENOUGH = 100  # events, and non-events
AREA = 0.7  # C statistic that the widths are of: what psychiatric models reach at best
WIDTHS = (0.2, 0.2, 0.1)  # of O:E, slope and C: targets of Riley 2021
EVENTS_A_PARAMETER = (20, 10)  # PROBAST: 20 and more, fewer than 10


def analysis(material: Material) -> list[Signal]:
    """Return the signals of this domain; patients are counted, not predictions."""
    return [*_development(material), *_evaluation(material)]


def parameters(X: pl.DataFrame, columns: Sequence[str]) -> int:
    """Return the candidate parameters of columns: one a number, one a level beyond the first, one for missingness."""
    total = 0
    for name in columns:
        column = X[name]
        lacking = missing_rows(column)
        if column.dtype.is_numeric():
            total += 1
        else:
            total += max(1, column.filter(pl.Series(~lacking)).n_unique() - 1)
        total += int(lacking.any() and not lacking.all())
    return total


def needed(material: Material, candidates: int) -> Development:
    """Return what development needs: of times where the whole follow-up is modelled, else of the label at the horizon."""
    target = material.target
    if target.time is None or len(target.horizons) == 1:
        return development_binary(candidates, weighted_risk(material))
    years = float(target.time.sum()) / DAYS
    rate, follow_up = float((target.cause == 1).sum()) / years, years / len(target)
    return development_times(candidates, rate, follow_up, target.main / DAYS)


def _development(material: Material) -> list[Signal]:
    patients = len(np.unique(material.position))
    events = patients_with(material.position, material.status.event)
    few = 0 < events < material.smallest_cell  # the ratio, times the parameters, is their number
    same: dict[tuple[str, ...], list[str]] = {}
    for name, columns in material.learners.items():
        same.setdefault(tuple(columns), []).append(name)
    signals = []
    for columns, names in same.items():
        candidates = parameters(material.X, columns)
        wanted, place = needed(material, candidates), ", ".join(names)
        ratio = events / candidates
        verdict: Verdict = (
            "low"
            if ratio >= EVENTS_A_PARAMETER[0]
            else "unclear"
            if ratio >= EVENTS_A_PARAMETER[1]
            else "high"
        )
        signals += [
            Signal(
                "analysis",
                "events per candidate parameter",
                f"{HIDDEN if few else f'{ratio:.1f}'}: {count(events, material.smallest_cell)} patients with the event, "
                f"{candidates} parameters of {len(columns)} columns",
                "20 and more; fewer than 10 is too few even with shrinkage",
                verdict,
                PROBAST,
                place=place,
                value=None if few else ratio,
            ),
            Signal(
                "analysis",
                "sample size for development",
                f"{count(patients, material.smallest_cell)} patients for {candidates} parameters",
                f"{wanted.needed:,} (shrinkage {wanted.shrinkage:,}, optimism {wanted.optimism:,}, overall risk "
                f"{wanted.overall:,}), were 15 % of the largest R2 explained; penalties need fewer, trees more",
                graded(wanted.needed / patients, 1, 2),
                RILEY,
                place=place,
                value=wanted.needed / patients,
            ),
        ]
    return signals


def _evaluation(material: Material) -> list[Signal]:
    placed = material.splits.join(
        material.rows.select("prediction_id").with_row_index("place"), on="prediction_id", how="inner"
    )
    signals = []
    for scheme in material.kinds:
        own = placed.filter((pl.col("scheme") == scheme) & (pl.col("repeat") == 0))
        if material.kinds[scheme] == "stratified_kfold":  # its folds are judged together
            groups = {scheme: own["place"].to_numpy()}
        else:
            parts = own.group_by("group", maintain_order=True).agg(pl.col("place"))
            groups = {f"{scheme}: {name}": np.array(place) for name, place in parts.iter_rows()}
        signals += _groups(material, groups)
    return signals


def _groups(material: Material, groups: dict[str, NDArray[np.int64]]) -> list[Signal]:
    counted = []
    for rows in groups.values():
        position = material.position[rows]
        event, none = material.status.event[rows], material.status.none[rows]
        affected = patients_with(position, event)
        free = len(np.setdiff1d(position[none], position[event]))
        counted.append((affected + free, affected, free))
    counts = np.array(counted, dtype=np.int64)
    hidden = hidden_cells(counts, material.smallest_cell) if material.smallest_cell else counts[:, 0] < 0
    signals = []
    for name, (patients, events, others), is_hidden in zip(groups, counts.tolist(), hidden, strict=True):
        enough = min(events, others) >= ENOUGH
        signals.append(
            Signal(
                "analysis",
                "events and non-events for evaluation",
                HIDDEN
                if is_hidden
                else f"{events:,} patients with the event, {others:,} known to be without it",
                "100 and more of each",
                "low" if enough else "high",
                HUNDRED,
                place=name,
                value=None if is_hidden else float(min(events, others)),
            )
        )
        signals.append(_precision(name, patients, events, hidden=bool(is_hidden)))
    return signals


def _precision(name: str, patients: int, events: int, *, hidden: bool) -> Signal:
    widths = evaluation_widths(patients, events, AREA)
    found = (widths.observed_to_expected, widths.slope, widths.area)
    worst = max(width / target for width, target in zip(found, WIDTHS, strict=True))
    wide = ", ".join(f"{what} {width:.2f}" for what, width in zip(("O:E", "slope", "C"), found, strict=True))
    return Signal(
        "analysis",
        "precision of the evaluation",
        HIDDEN if hidden else f"95 % intervals as wide as {wide}, were C {AREA:g}",
        "O:E 0.2, slope 0.2, C 0.1",
        graded(worst, 1, 3),
        EVALUATION,
        place=name,
        value=None if hidden or not np.isfinite(worst) else worst,
    )
