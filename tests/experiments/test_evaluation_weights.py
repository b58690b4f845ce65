"""A country that censors more than the other: its own weights give the true calibration, the other country's do not."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.evaluation.evaluate import predicted_parts
from experiments.evaluation.measures import measure
from experiments.evaluation.reporting import Evaluation, part_intervals
from experiments.evaluation.sample import Part, Sample
from experiments.evaluation.weighting import with_labels
from models.censoring import censoring_survival
from tests.experiments.evaluated_cohort import HORIZON, cohort, sample_of

RUNS = 40


def drawn(seed: int) -> dict[str, Any]:
    """Return a cohort whose model's risks are the true ones, a fifth of the French and three quarters elsewhere lost by then."""
    data = cohort(800, seed=0)
    generator = np.random.default_rng(seed)
    own = data["predictions"]["model"].filter((pl.col("scheme") == "kfold") & (pl.col("repeat") == 0))
    risk = data["rows"].join(own, on="prediction_id", how="left", maintain_order="left")["risk"].to_numpy()
    event = generator.exponential(HORIZON / -np.log1p(-risk))
    leaves = generator.exponential(np.where(data["rows"]["country"] == "FR", 1500.0, 250.0))
    outcomes = data["outcomes"].with_columns(
        time=pl.Series(np.minimum(event, leaves)), cause=pl.Series((event <= leaves).astype(np.int8))
    )
    return {**data, "outcomes": outcomes}


@pytest.fixture(scope="module")
def runs() -> list[tuple[Sample, Part, Part]]:
    """Return each run's sample, with the French and the others as tested by the model."""
    found = []
    for seed in range(RUNS):
        data = drawn(seed)
        sample = sample_of(data, "countries")
        french, others = predicted_parts(sample, data["predictions"]["model"], "model")
        found.append((sample, french, others))
    return found


def test_observed_to_expected_is_one_where_the_evaluated_country_censors_more(
    runs: list[tuple[Sample, Part, Part]],
) -> None:
    found = np.array([measure(others, "observed_to_expected") for _, _, others in runs])
    assert abs(found.mean() - 1) < 3 * found.std(ddof=1) / np.sqrt(RUNS)


def test_the_interval_of_that_country_holds_one_as_often_as_it_says(
    runs: list[tuple[Sample, Part, Part]],
) -> None:
    evaluation, held = Evaluation("demo", "relapse", 1, 0, resamples=200), []
    for sample, _, others in runs:
        found = part_intervals(evaluation, sample, others, ("observed_to_expected",))
        interval = found["observed_to_expected"]
        assert interval.lower is not None
        assert interval.upper is not None
        held.append(interval.lower <= 1 <= interval.upper)
    assert np.mean(held) >= 0.85  # of 40 runs at 0.95, 34 or more in 997 of 1,000


def test_with_the_other_countrys_weights_it_is_far_from_one(runs: list[tuple[Sample, Part, Part]]) -> None:
    wrong = []
    for _, french, others in runs:
        first, second = french.follow_up, others.follow_up
        assert first is not None
        assert second is not None
        at = np.minimum(second.time, HORIZON)
        known = (second.cause != 0) | (second.time >= HORIZON)
        weight = known / censoring_survival(first.time, first.cause, at)
        expected = float(
            others.risk.sum()
        )  # everybody is expected to have their risk; the lost are not observed
        wrong.append(float(weight @ others.label) / expected)
    assert np.mean(wrong) < 0.85


def ranked(seed: int, covariates: tuple[str, ...], *, censored: bool = True, n: int = 800) -> float:
    """Return Uno's C of risks that rank well in a group that is rarely lost, and poorly in one of more risk and loss."""
    generator = np.random.default_rng(seed)
    high, marker = generator.integers(0, 2, n), generator.normal(size=n)
    hazard = 0.5 * np.exp(0.8 * high + np.where(high == 1, 0.3, 1.2) * marker)
    event = generator.exponential(1 / hazard)
    leaves = generator.exponential(np.where(high == 1, 0.6, 4.0)) if censored else np.full(n, np.inf)
    tested = pl.DataFrame(
        {
            "time": np.minimum(event, leaves),
            "cause": (event <= leaves).astype(int),
            "repeat": [0] * n,
            "high": high,
        }
    )
    frame, follow_up = with_labels(tested, 2.0, (2.0,), ("repeat",), covariates)
    rows = frame["label"].to_numpy(), hazard, frame["weight"].to_numpy(), np.arange(n)
    return measure(Part(0, 0, "", *rows, {}, follow_up), "concordance")


def test_unos_concordance_is_right_where_censoring_depends_on_a_declared_covariate() -> None:
    truth = ranked(1, (), censored=False, n=3000)
    within = [ranked(seed, ("high",)) for seed in range(2, 12)]
    assert (
        abs(float(np.mean(within)) - truth) < 0.02
    )  # 0.10 too high with one curve for both members of a pair
