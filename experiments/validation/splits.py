"""Outer folds: which predictions each fold tests, drawn by patient and family before anything is fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.draws import (
    NO_CENTRE,
    UNKNOWN,
    Status,
    balanced_groups,
    centre_table,
    deal_patients,
    patient_table,
    pool_small,
    relatives,
)
from experiments.validation.temporal import cut_day, day_name, status_before, tested_patients
from features.errors import BadInput

FEWEST_EVENTS = 11  # patients; below it no fold can be judged, and counts would have to be suppressed
SchemeKind = Literal["stratified_kfold", "leave_centre_out", "leave_country_out", "temporal"]


@dataclass(frozen=True)
class SplitScheme:
    """How outer folds are drawn.

    Attributes:
        kind: repeated k-fold by patient, one centre (or group of centres) out, one country out, or later patients.
        folds: of k-fold.
        repeats: of k-fold, each drawn anew.
        groups: of leave-centre-out; None leaves out each centre alone.
        start: of temporal, the day from which patients are tested.
        latest: of temporal without a start, the share of patients tested.
    """

    kind: SchemeKind
    folds: int = 5
    repeats: int = 1
    groups: int | None = None
    start: date | None = None
    latest: float | None = None


def make_splits(
    schemes: Mapping[str, SplitScheme],
    rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    seed: int,
    *,
    horizon: float | None = None,
    seen_after: float = 0.0,
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Draw the outer folds of every scheme for one outcome.

    Folds depend on patients' positions, their outcome at the horizon, centre and country, and the seed: not on
    pseudonyms, nor on the order of rows.

    Args:
        schemes: by name.
        rows: as features.schema.Rows.
        outcomes: as features.schema.Outcomes; only rows without a reason for exclusion are split.
        seed: the study's.
        horizon: days; None for a label.
        seen_after: days after which a label seen at visits is known.

    Returns:
        The frame of results.Splits, and one entry per fold with the counts of its training and test rows; that of a
        temporal scheme has its `cut`, and its training rows and events are those known before it. A fold that cuts a
        family has `relatives` and `relatives_patients`: who is left out of its training for a relative who is tested.

    Raises:
        BadInput: too few patients, events, centres or countries, or a fold with a single class.
    """
    eligible, status = eligible_rows(rows, outcomes, horizon, seen_after=seen_after)
    patients = patient_table(eligible, status)
    _require_enough(patients)
    frames, folds = [], []
    for name in sorted(schemes):
        cut, before = _cut(name, schemes[name], eligible, horizon)
        drawn = _draw(name, schemes[name], patients, seed) if cut is None else _later(eligible, cut)
        for repeat, fold, group, chosen in drawn:
            test = eligible["position"].is_in(chosen).to_numpy()
            before_cut = ~test if cut is None else ~test & (eligible["time"] < cut).to_numpy()
            related = np.zeros(len(test), dtype=np.bool_)
            related[relatives(eligible, np.flatnonzero(test))] = True
            train = before_cut & ~related
            known = status if before is None else before
            _require_two_classes(name, group, "test", status, test)
            _require_two_classes(name, group, "training", known, train)
            entry = _count(eligible, {"train": (known, train), "test": (status, test)})
            entry |= {} if cut is None else {"cut": cut}
            entry |= _set_aside(eligible, before_cut & related)
            folds.append(
                {"scheme": name, "kind": schemes[name].kind, "repeat": repeat, "fold": fold, "group": group}
                | entry
            )
            frames.append(
                eligible.filter(pl.Series(test)).select(
                    scheme=pl.lit(name),
                    repeat=pl.lit(repeat, pl.Int32),
                    fold=pl.lit(fold, pl.Int32),
                    prediction_id=pl.col("prediction_id"),
                    group=pl.lit(group),
                )
            )
    return pl.concat(frames), folds


def eligible_rows(
    rows: pl.DataFrame, outcomes: pl.DataFrame, horizon: float | None, *, seen_after: float = 0.0
) -> tuple[pl.DataFrame, Status]:
    """Return the eligible rows with their `time_to_event` and `cause`, in canonical order, and their status.

    `seen_after` is the number of days after which the label of an outcome seen at visits is known.
    """
    kept = outcomes.filter(pl.col("excluded").is_null()).select(
        "prediction_id", pl.col("time").alias("time_to_event"), "cause", "attendance"
    )
    joined = (
        rows.join(kept, on="prediction_id", how="inner", validate="1:1")
        .sort(["index_rule", "position", "number"])
        .with_columns(seen_after=pl.lit(seen_after, pl.Float64))
    )
    if joined.height < kept.height:
        raise BadInput(
            f"{kept.height - joined.height} eligible predictions have no assembled row: run dvc repro from assemble."
        )
    if joined.is_empty():
        raise BadInput("Nobody is eligible for this outcome: check its eligibility rules in the study file.")
    time = None if horizon is None else joined["time_to_event"].to_numpy().astype(np.float64)
    cause = joined["cause"].fill_null(UNKNOWN).to_numpy().astype(np.int64)
    return joined, Status.at(time, cause, 0.0 if horizon is None else horizon)


Drawn = tuple[int, int, str, Sequence[int]]  # repeat, fold, group, positions of the patients tested


def _cut(
    name: str, scheme: SplitScheme, eligible: pl.DataFrame, horizon: float | None
) -> tuple[float | None, Status | None]:
    """Return the day of a temporal scheme and what was known before it."""
    if scheme.kind != "temporal":
        return None, None
    cut = cut_day(name, scheme.start, scheme.latest, eligible)
    return cut, status_before(eligible, cut, horizon)


def _draw(name: str, scheme: SplitScheme, patients: pl.DataFrame, seed: int) -> list[Drawn]:
    if scheme.kind == "stratified_kfold":
        return _kfold(name, scheme, patients, seed)
    if scheme.kind == "leave_centre_out":
        return _centres(name, scheme.groups, patients)
    return _countries(name, patients)


def _later(eligible: pl.DataFrame, cut: float) -> list[Drawn]:
    return [(0, 0, f"from {day_name(cut)}", tested_patients(eligible, cut))]


def _kfold(name: str, scheme: SplitScheme, patients: pl.DataFrame, seed: int) -> list[Drawn]:
    dealt_whole = patients["unit"].n_unique()
    if dealt_whole < scheme.folds:
        raise BadInput(
            f"validation.{name}: {scheme.folds} folds need as many patients, {dealt_whole} are eligible (a family counts "
            "as one). Use fewer folds."
        )
    drawn: list[Drawn] = []
    for repeat in range(scheme.repeats):
        dealt = deal_patients(patients, scheme.folds, seed_for(seed, "splits", name, repeat))
        drawn += [
            (
                repeat,
                fold,
                f"fold {fold + 1}",
                patients["position"].filter(pl.Series(dealt == fold)).to_list(),
            )
            for fold in range(scheme.folds)
        ]
    return drawn


def _centres(name: str, groups: int | None, patients: pl.DataFrame) -> list[Drawn]:
    centres = centre_table(patients)
    if centres.height < max(2, groups or 2):
        raise BadInput(
            f"validation.{name}: leaving centres out needs at least {max(2, groups or 2)} centres, found "
            f"{centres.height}. Name fewer groups, or drop this scheme."
        )
    alone = [[centre] for centre in centres["centre"]]
    gathered = pool_small(centres, alone if groups is None else balanced_groups(centres, groups))
    return [
        (0, fold, _title("centre", group), _of(patients, "centre", group))
        for fold, group in enumerate(gathered)
    ]


def _countries(name: str, patients: pl.DataFrame) -> list[Drawn]:
    unknown = patients["country"].null_count()
    countries = sorted(patients["country"].drop_nulls().unique())
    if len(countries) < 2:
        raise BadInput(
            f"validation.{name}: leaving a country out needs patients of at least two countries, found "
            f"{len(countries)}. Map the country in the study file, or drop this scheme."
        )
    if unknown:
        raise BadInput(
            f"validation.{name}: {unknown} eligible patients have no country, so it cannot be said which fold may not "
            "see them. Give their country, or drop this scheme."
        )
    return [(0, fold, country, _of(patients, "country", [country])) for fold, country in enumerate(countries)]


def _of(patients: pl.DataFrame, column: str, values: Sequence[str]) -> list[int]:
    return patients["position"].filter(patients[column].is_in(values)).to_list()


def _title(kind: str, names: Sequence[str]) -> str:
    shown = [f"{kind} {NO_CENTRE}" if name == NO_CENTRE else name for name in names]
    return (
        f"{kind} {shown[0]}"
        if len(shown) == 1 and names[0] != NO_CENTRE
        else (shown[0] if len(shown) == 1 else f"{kind}s {', '.join(shown)}")
    )


def _count(eligible: pl.DataFrame, parts: Mapping[str, tuple[Status, NDArray[np.bool_]]]) -> dict[str, Any]:
    position = eligible["position"].to_numpy()
    counts: dict[str, Any] = {}
    for part, (status, chosen) in parts.items():
        counts[part] = int(chosen.sum())
        counts[f"{part}_events"] = int((status.event & chosen).sum())
        counts[f"{part}_patients"] = len(np.unique(position[chosen]))
    return counts


def _set_aside(eligible: pl.DataFrame, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Return the counts of rows that are not trained on because a relative is tested; nothing where there is none."""
    if not chosen.any():
        return {}
    return {
        "relatives": int(chosen.sum()),
        "relatives_patients": eligible["position"].filter(pl.Series(chosen)).n_unique(),
    }


def _require_enough(patients: pl.DataFrame) -> None:
    events, nones = int((patients["events"] > 0).sum()), int((patients["nones"] > 0).sum())
    for found, what in ((events, "with the event"), (nones, "known to be without it")):
        if found < FEWEST_EVENTS:
            raise BadInput(
                f"Too few events: {found} of {patients.height} eligible patients are {what} by the horizon, at least "
                f"{FEWEST_EVENTS} are needed. Widen the eligibility or the horizon in the study file, or drop the outcome."
            )


def _require_two_classes(name: str, group: str, part: str, status: Status, chosen: NDArray[np.bool_]) -> None:
    events, nones = int(status.event[chosen].sum()), int(status.none[chosen].sum())
    if events == 0 or nones == 0:
        raise BadInput(
            f"validation.{name}: the {part} rows of {group} have {events} events and {nones} known non-events; both "
            "are needed. Use fewer folds or groups, another day, or drop this scheme."
        )
