"""A small simulated cohort with splits and risks, for the tests of evaluation."""

from typing import Any

import numpy as np
import polars as pl

from experiments.evaluation.sample import Sample, evaluated_sample
from experiments.results import Predictions, Splits
from features.outcomes import whole_outcomes
from features.schema import Outcomes, Rows

HORIZON = 365.0
KINDS = {"kfold": "stratified_kfold", "centres": "leave_centre_out", "countries": "leave_country_out"}


def cohort(patients: int = 600, seed: int = 0, censored: bool = True, repeats: int = 1) -> dict[str, Any]:
    """Return rows, outcomes, splits and predictions of a cohort of 12 centres in 2 countries, one row per patient."""
    generator = np.random.default_rng(seed)
    signal, centre = generator.normal(size=patients), generator.integers(12, size=patients)
    hazard = np.exp(-6.6 + 0.9 * signal + 0.4 * (centre % 3))
    event, leaves = generator.exponential(1 / hazard), generator.uniform(100, 1500, patients)
    time = np.minimum(event, leaves) if censored else np.minimum(event, 2000.0)
    cause = (time == event).astype(np.int64)
    country = np.where(centre < 6, "FR", "NL")
    ids = [f"baseline-{number}-1" for number in range(patients)]
    rows = pl.DataFrame(
        {
            "prediction_id": ids,
            "index_rule": "baseline",
            "patient_id": [f"{number:032x}" for number in range(patients)],
            "position": np.arange(patients),
            "family": None,
            "number": 1,
            "time": 0.0,
            "country": country,
            "centre": [f"{place} {number:02d}" for place, number in zip(country, centre, strict=True)],
            "network": np.where(
                np.arange(patients) % 60 == 0, "autism", np.where(signal > 0, "bipolar", "psychosis")
            ),
            "sex": generator.choice(["female", "male"], patients),
            "age_band": "18-34",
            "education": "10-12 years",
        }
    )
    outcomes = whole_outcomes(
        pl.DataFrame(
            {
                "prediction_id": ids,
                "patient_id": rows["patient_id"],
                "excluded": None,
                "time": time,
                "cause": cause,
            }
        )
    )
    splits = [
        _split("kfold", repeat, fold, [f"fold {number + 1}" for number in fold], ids)
        for repeat, fold in enumerate(generator.permutation(patients) % 5 for _ in range(repeats))
    ]
    splits.append(_split("centres", 0, centre // 2, [f"group {number}" for number in centre // 2], ids))
    splits.append(_split("countries", 0, (centre >= 6).astype(np.int64), list(country), ids))
    tested = pl.concat(splits)
    model = 1 - np.exp(-np.exp(-6.6 + 0.9 * signal) * HORIZON)
    weak = 1 - np.exp(-np.exp(-6.6 + 0.3 * signal + 0.4 * generator.normal(size=patients)) * HORIZON)
    return {
        "rows": Rows.validate(rows.select(Rows.column_names()), cast=True),
        "outcomes": Outcomes.validate(outcomes.select(Outcomes.column_names()), cast=True),
        "splits": Splits.validate(tested.select(Splits.column_names()), cast=True),
        "predictions": {
            "base_rate": _predictions(tested, ids, 0.3 + 0.0 * model, by_fold=0.01),
            "clinical": _predictions(tested, ids, weak),
            "model": _predictions(tested, ids, model),
        },
    }


def sample_of(data: dict[str, Any], scheme: str) -> Sample:
    """Return the evaluated sample of one of the cohort's schemes."""
    own = data["splits"].filter(pl.col("scheme") == scheme)
    return evaluated_sample(
        data["rows"], data["outcomes"], own, scheme=scheme, kind=KINDS[scheme], horizon=HORIZON
    )


def _split(scheme: str, repeat: int, fold: Any, group: list[str], ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"scheme": scheme, "repeat": repeat, "fold": fold, "prediction_id": ids, "group": group}
    )


def _predictions(tested: pl.DataFrame, ids: list[str], risk: Any, by_fold: float = 0.0) -> pl.DataFrame:
    """Return one risk per tested row; `by_fold` makes it differ between folds, as a base rate's does."""
    joined = tested.join(pl.DataFrame({"prediction_id": ids, "risk": risk}), on="prediction_id").with_columns(
        pl.col("risk") + by_fold * pl.col("fold"), cause=1, horizon=HORIZON
    )
    return Predictions.validate(joined.select(Predictions.column_names()), cast=True)
