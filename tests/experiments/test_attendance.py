"""A status that is known only where a visit was attended: weights in the evaluated population, never a negative."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.evaluation.sample import evaluated_sample
from experiments.validation.cell import CellData
from experiments.validation.certificate import permute_outcomes
from features.schema import Outcomes
from models.target import Target
from tests.experiments.evaluated_cohort import KINDS, cohort


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """The severe relapse more and come less: 1,200 patients, half of them severe."""
    data = cohort(patients=1200, seed=3)
    draw = np.random.default_rng(5)
    severe = np.arange(1200) % 2 == 1
    relapsed = draw.random(1200) < np.where(severe, 0.6, 0.2)
    came = draw.random(1200) < np.where(severe, 0.3, 0.8)
    outcomes = data["outcomes"].with_columns(
        time=pl.lit(None, dtype=pl.Float64),
        cause=pl.when(pl.Series(came)).then(pl.Series(relapsed.astype(np.int8))),
        attendance=pl.Series(np.where(severe, "severe", "mild")),
    )
    return {**data, "outcomes": Outcomes.validate(outcomes, cast=True), "rate": relapsed.mean()}


def weighed(data: dict[str, Any], scheme: str) -> pl.DataFrame:
    own = data["splits"].filter(pl.col("scheme") == scheme)
    sample = evaluated_sample(
        data["rows"], data["outcomes"], own, scheme=scheme, kind=KINDS[scheme], horizon=0.0
    )
    return sample.frame


@pytest.mark.parametrize("scheme", ["kfold", "countries"])
def test_unknown_rows_weigh_nothing_and_the_known_ones_of_their_stratum_stand_for_them(
    seen: dict[str, Any], scheme: str
) -> None:
    frame = weighed(seen, scheme)
    unknown = frame["cause"].is_null()
    assert unknown.sum() > 400
    assert frame.filter(unknown)["weight"].sum() == 0
    own = ["attendance"] if scheme == "kfold" else ["fold", "attendance"]
    sums = frame.group_by(own).agg(pl.col("weight").sum(), pl.len().alias("all"))
    np.testing.assert_allclose(sums["weight"].to_numpy(), sums["all"].to_numpy())


def test_weighted_within_what_attendance_follows_the_rate_is_the_true_one(seen: dict[str, Any]) -> None:
    frame = weighed(seen, "kfold")
    weighted = float(np.average(frame["label"].to_numpy(), weights=frame["weight"].to_numpy()))
    complete = float(frame.filter(pl.col("weight") > 0)["label"].mean())  # type: ignore[arg-type]
    assert abs(weighted - seen["rate"]) < 0.03
    assert complete < seen["rate"] - 0.05


def test_exchanged_outcomes_leave_who_is_known_at_each_horizon() -> None:
    """Rows censored between two horizons are known at the first alone: the certificate must not move them away."""
    draw = np.random.default_rng(2)
    time, cause = draw.uniform(1, 900, 300), draw.integers(0, 3, 300)
    target = Target.from_times(time, cause, [90.0, 365.0, 730.0], causes=2, main=365.0)
    data = CellData(rows=pl.DataFrame({"n": range(300)}), X=pl.DataFrame({"x": time}), target=target)
    index = np.arange(0, 300, 2)
    changed = permute_outcomes(data, index, seed=4).target
    assert (changed.time[index] != target.time[index]).mean() > 0.5  # type: ignore[index]
    for horizon in target.horizons:
        np.testing.assert_array_equal(
            changed.rows(index).weights(horizon) > 0, target.rows(index).weights(horizon) > 0
        )
    other = np.arange(1, 300, 2)
    np.testing.assert_array_equal(changed.time[other], target.time[other])  # type: ignore[index]
