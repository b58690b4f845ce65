"""Patients of planted strata with noisy memberships, outcomes in time, labels and held-out columns."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.relate import RelatedPatients
from experiments.stratification.responses import FollowedOutcome
from experiments.stratification.uncertainty import Classified

Floats = NDArray[np.float64]
CENTRES = 4


@dataclass(frozen=True)
class Planted:
    """Strata, counted from 0, and two scores that tell them with the given separation, with the Bayes rule's memberships."""

    stratum: NDArray[np.int64]
    scores: Floats
    classified: Classified


def planted(n: int, separation: float, seed: int, k: int = 2) -> Planted:
    generator = np.random.default_rng(seed)
    stratum = generator.integers(0, k, n)
    means = separation * np.column_stack([np.arange(k), np.zeros(k)])
    scores = means[stratum] + generator.normal(size=(n, 2))
    log_density = -0.5 * ((scores[:, None, :] - means) ** 2).sum(axis=2)
    share = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    return Planted(
        stratum, np.asarray(scores, dtype=np.float64), Classified.of(share / share.sum(axis=1, keepdims=True))
    )


def times(stratum: NDArray[np.int64], log_ratio: float, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return days and causes: stratum s has exp(s * log_ratio) times the hazard of the event, death the same for all."""
    generator = np.random.default_rng(seed)
    n = len(stratum)
    event = generator.exponential(600 / np.exp(stratum * log_ratio))
    death, censored = generator.exponential(4000, n), generator.uniform(100, 1500, n)
    days = np.minimum(np.minimum(event, death), censored)
    cause = np.where(days == event, 1, np.where(days == death, 2, 0))
    return np.maximum(np.ceil(days), 1.0), cause.astype(np.int64)


def outcome_frame(ids: list[str], days: Floats | None, cause: NDArray[np.int64]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": ids,
            "excluded": pl.Series([None] * len(ids), dtype=pl.String),
            "time": pl.Series([None] * len(ids) if days is None else days, dtype=pl.Float64),
            "cause": pl.Series(cause, dtype=pl.Int8),
            "attendance": pl.Series([None] * len(ids), dtype=pl.String),
        }
    )


def related_patients(
    made: Planted, seed: int, *, k: int | None = None
) -> tuple[RelatedPatients, dict[str, FollowedOutcome]]:
    """Return the patients and two outcomes: a relapse that strata differ in, and a label that they do not."""
    generator = np.random.default_rng(seed)
    n = len(made.stratum)
    ids = [f"p{number:05d}" for number in range(n)]
    centre = generator.integers(0, CENTRES, n)
    probability = made.classified.probability if k != 1 else np.ones((n, 1))
    memberships = pl.DataFrame(
        {
            "prediction_id": np.repeat(ids, probability.shape[1]),
            "stratum": np.tile(np.arange(1, probability.shape[1] + 1), n).astype(np.int32),
            "probability": probability.ravel(),
        }
    )
    scaled = (made.scores - made.scores.mean(axis=0)) / made.scores.std(axis=0)
    dimensions = pl.DataFrame(
        {
            "prediction_id": np.repeat(ids, 2),
            "dimension": np.tile([1, 2], n).astype(np.int32),
            "score": scaled.ravel(),
        }
    )
    on = generator.random(n) < 0.4
    patients = RelatedPatients(
        rows=pl.DataFrame(
            {
                "prediction_id": ids,
                "patient_id": ids,
                "centre": [f"C{one}" for one in centre],
                "country": ["FR" if one < 2 else "DE" for one in centre],
            }
        ),
        memberships=memberships,
        dimensions=dimensions,
        made=pl.DataFrame({"lab_crp_log": made.scores[:, 0], "lab_glucose": made.scores[:, 1]}),
        beside=pl.DataFrame(
            {
                "age": generator.normal(40, 10, n),
                "sex": generator.choice(["female", "male"], n),
                "gaf": made.stratum + generator.normal(size=n),
                "smoker": (generator.random(n) < 0.3 + 0.2 * made.stratum).astype(np.float64),
                "diagnosis": generator.choice(["F20", "F31", "F33"], n),
                "lab_crp_above_10": (made.scores[:, 0] > 1).astype(np.float64),
                "near_glucose": np.exp(made.scores[:, 1]),
            }
        ),
        times=pl.DataFrame({"prediction_id": ids, "time": np.full(n, 1000.0)}),
        medications=pl.DataFrame(
            {
                "patient_id": [one for one, taking in zip(ids, on, strict=True) if taking] + [ids[0]],
                "atc": ["N05AX08"] * int(on.sum()) + ["N05AN01"],
                "start": [500.0] * int(on.sum()) + [1000.0],
                "stop": pl.Series([None] * int(on.sum()) + [None], dtype=pl.Float64),
            }
        ),
        descriptions={"lab_crp_above_10": "C-reactive protein above 10 mg/L"},
    )
    days, cause = times(made.stratum, 0.9, seed + 1)
    label = (generator.random(n) < 0.4).astype(np.int64)
    outcomes = {
        "relapse": FollowedOutcome(outcome_frame(ids, days, cause), (365.0, 730.0), 2),
        "label": FollowedOutcome(outcome_frame(ids, None, label), ()),
    }
    return patients, outcomes
