"""The evaluated rows of one validation scheme: who was tested in which fold, what happened, and with what weight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.evaluation.follow_up import FollowUp
from experiments.evaluation.metrics import Floats
from experiments.evaluation.weighting import tested_to_trained, with_labels
from features.errors import BadInput

NOT_RECORDED = "not recorded"
PLACES = ("country", "centre", "network", "sex", "age_band", "education")


@dataclass(frozen=True)
class Part:
    """The rows of one test fold, or some of them, with one learner's risks.

    Attributes:
        repeat, fold, group: which outer fold.
        label: shape (n,), 1.0 where the event happened by the horizon.
        risk: shape (n,).
        weight: shape (n,), inverse probability of being uncensored; 0 where the label is unknown.
        patient: shape (n,), the patient's position.
        places: country, centre, network, sex, age band and education of each row, shape (n,) each.
        follow_up: times, causes and the risks at every horizon, for measures of time; None for a label.
        family: shape (n,), the family's number, of a patient without relatives the position; None: nobody is related.
    """

    repeat: int
    fold: int
    group: str
    label: Floats
    risk: Floats
    weight: Floats
    patient: NDArray[np.int64]
    places: dict[str, NDArray[np.str_]]
    follow_up: FollowUp | None = None
    family: NDArray[np.int64] | None = None

    @property
    def unit(self) -> NDArray[np.int64]:
        """What variances and resamples keep whole: the family, and so the patient; shape (n,)."""
        return self.patient if self.family is None else self.family

    def take(self, rows: NDArray[np.bool_]) -> "Part":
        """Return some rows of the part."""
        places = {name: values[rows] for name, values in self.places.items()}
        arrays = (self.label[rows], self.risk[rows], self.weight[rows], self.patient[rows])
        follow_up = None if self.follow_up is None else self.follow_up.take(rows)
        family = None if self.family is None else self.family[rows]
        return Part(self.repeat, self.fold, self.group, *arrays, places, follow_up, family)

    def per_patient(self) -> "Part":
        """Return the part with each weight divided by the patient's number of rows: patients count equally."""
        return replace(self, weight=self.weight / np.bincount(self.patient)[self.patient])

    @property
    def events(self) -> int:
        """Rows with the event by the horizon."""
        return int(self.label.sum())

    @property
    def others(self) -> int:
        """Rows known to be without the event at the horizon."""
        return int(((self.label == 0) & (self.weight > 0)).sum())

    def cell(self) -> tuple[int, int, int]:
        """Return the patients, those with an event and those with a row without one: what disclosure rules look at."""
        with_event, without = (distinct(self.patient[self.label == value]) for value in (1, 0))
        return distinct(self.patient), with_event, without


def distinct(patient: NDArray[np.int64]) -> int:
    """Return the number of different patients, given by position."""
    return int(np.count_nonzero(np.bincount(patient))) if len(patient) else 0


@dataclass(frozen=True)
class Pooled:
    """The rows of several parts, for curves that add up over folds; never for ranking.

    Attributes:
        label, risk, weight, patient, unit: as in Part, shape (n,).
        repeats: how often each prediction stands among them.
        time, cause, population, horizon: as in FollowUp; None for a label.
    """

    label: Floats
    risk: Floats
    weight: Floats
    patient: NDArray[np.int64]
    unit: NDArray[np.int64]
    repeats: int
    time: Floats | None = None
    cause: NDArray[np.int64] | None = None
    population: NDArray[np.int64] | None = None
    horizon: float = 0.0


def pooled(parts: Sequence[Part]) -> Pooled:
    """Join the rows of parts."""
    label, risk, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "risk", "weight")
    )
    patient, unit = (np.concatenate([getattr(part, name) for part in parts]) for name in ("patient", "unit"))
    repeats = len({part.repeat for part in parts})
    known = [part.follow_up for part in parts if part.follow_up is not None]
    if len(known) < len(parts):
        return Pooled(label, risk, weight, patient, unit, repeats)
    time, cause, population = (
        np.concatenate([getattr(own, name) for own in known]) for name in ("time", "cause", "population")
    )
    return Pooled(label, risk, weight, patient, unit, repeats, time, cause, population, known[0].horizon)


@dataclass(frozen=True)
class Sample:
    """One scheme's evaluated rows at one horizon.

    Attributes:
        scheme, kind: the scheme's name in the study, and its kind.
        horizon: days; 0 for a label.
        frame: one row per repeat and tested prediction, sorted by repeat, fold, position, number.
        test_to_train: rows tested over rows trained on, mean over folds.
        follow_up: of the rows of `frame`, without risks; None for a label.
    """

    scheme: str
    kind: str
    horizon: float
    frame: pl.DataFrame
    test_to_train: float
    follow_up: FollowUp | None = None

    def parts(self, risk: Floats, risks: Floats | None = None) -> list[Part]:
        """Return each outer fold's rows with one learner's risks.

        Args:
            risk: at the sample's horizon, shape (rows of `frame`,).
            risks: at each horizon of `follow_up`, shape (rows of `frame`, horizons), for integrated measures.
        """
        keys = self.frame.select("repeat", "fold", "group").unique(maintain_order=True)
        repeat, fold = self.frame["repeat"].to_numpy(), self.frame["fold"].to_numpy()
        whole = Part(
            0,
            0,
            "",
            self.frame["label"].to_numpy(),
            risk,
            self.frame["weight"].to_numpy(),
            self.frame["position"].to_numpy(),
            {name: self.frame[name].to_numpy().astype(np.str_) for name in PLACES},
            None if self.follow_up is None else self.follow_up.predicted(risks),
            _families(self.frame),
        )
        return [
            replace(whole.take((repeat == r) & (fold == f)), repeat=r, fold=f, group=group)
            for r, f, group in keys.iter_rows()
        ]


def evaluated_sample(
    rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    splits: pl.DataFrame,
    *,
    scheme: str,
    kind: str,
    horizon: float,
    horizons: Sequence[float] = (),
    covariates: Sequence[str] = (),
) -> Sample:
    """Return what a scheme evaluates, with weights estimated in the evaluated population.

    Random k-fold evaluates new patients of the same centres: censoring is estimated on all eligible rows.
    Every other scheme evaluates what it left out: on each left-out group's rows alone. With `covariates`, columns
    of `rows`, censoring is estimated within each of their levels. A label that is not known, as after a visit that was
    not attended, has weight 0, and the known ones of its `attendance` stratum in that population weigh the more.

    Args:
        rows: schema Rows.
        outcomes: schema Outcomes.
        splits: schema Splits, this scheme's rows.
        scheme: the scheme's name.
        kind: stratified_kfold, leave_centre_out, leave_country_out or temporal.
        horizon: days; 0 for a label.
        horizons: every horizon of the outcome, for what is integrated up to this one.
        covariates: columns that censoring may depend on.

    Raises:
        BadInput: a tested prediction is not eligible or not among the rows.
    """
    eligible = outcomes.filter(pl.col("excluded").is_null()).select(
        "prediction_id", "cause", "time", "attendance", tested=pl.lit(value=True)
    )
    columns = ["prediction_id", "position", "number", "family", *PLACES]
    known = rows.select(columns).join(eligible, on="prediction_id", how="inner")
    tested = splits.join(known, on="prediction_id", how="left").sort("repeat", "fold", "position", "number")
    lost = tested["tested"].null_count()
    if lost:
        raise BadInput(
            f"The splits of {scheme} test {lost} predictions that are not eligible or not assembled: they are from "
            "another run. Run dvc repro."
        )
    if tested.is_empty():
        raise BadInput(f"The splits hold no rows of {scheme}: they are from another run. Run dvc repro.")
    tested = tested.with_columns(pl.col(PLACES).cast(pl.String).fill_null(NOT_RECORDED))
    population = ("repeat",) if kind == "stratified_kfold" else ("repeat", "fold")
    weighted, follow_up = with_labels(tested.drop("tested"), horizon, horizons, population, covariates)
    return Sample(scheme, kind, horizon, weighted, tested_to_trained(weighted), follow_up)


def _families(frame: pl.DataFrame) -> NDArray[np.int64] | None:
    if frame["family"].null_count() == frame.height:
        return None
    return frame.select(pl.coalesce("family", "position")).to_series().to_numpy().astype(np.int64)


def weights_report(sample: Sample, covariates: Sequence[str] = (), smallest_cell: int = 0) -> dict[str, Any]:
    """Return what a reviewer needs to judge the weights: their population, the largest, and the effective n.

    Where fewer than `smallest_cell` patients (but some) were lost before the horizon, the figures that would give their
    number away are null.
    """
    first = sample.frame.filter(pl.col("repeat") == pl.col("repeat").min())
    weight = first["weight"].to_numpy()
    square = float((weight**2).sum())
    whole = sample.kind == "stratified_kfold"
    lost = distinct(first["position"].to_numpy()[weight == 0])
    shown = lost == 0 or lost >= smallest_cell
    return {
        "population": "all eligible predictions" if whole else "the predictions of each left-out group",
        "covariates": list(covariates),
        "largest_weight": float(weight.max()) if shown else None,
        "effective_n": (float(weight.sum()) ** 2 / square if square > 0 else 0.0) if shown else None,
        "n": len(weight),
        "unknown_status_share": float((weight == 0).mean()) if shown else None,
    }
