"""Simulated cohorts of strata and what the ledger says of them."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from experiments.validity import strata_claims, strata_peers, strata_power
from experiments.validity.strata_cohorts import CONTEXT, ONE_GROUP, Planted, one_group, plant
from experiments.validity.strata_search import Claim, upper_bound


@pytest.mark.parametrize("name", sorted(ONE_GROUP))
def test_one_group_is_drawn_as_its_name_says(name: str) -> None:
    cohort = one_group(name, 300, 6, np.random.default_rng(4))
    again = one_group(name, 300, 6, np.random.default_rng(4))
    assert cohort.X.equals(again.X)
    assert set(cohort.truth) == {0}
    assert cohort.oracle is None
    assert set(cohort.rows["country"]) == {"A", "B"}
    assert cohort.rows.select("centre", "country").unique().height == cohort.rows["centre"].n_unique()
    assert cohort.X[CONTEXT].to_list() == cohort.rows["centre"].to_list()
    missing = cohort.X.null_count().row(0)
    assert (sum(missing) > 0) == (name == "missing by centre")
    assert np.isfinite(cohort.values).all()
    if name == "limits of detection":
        assert (cohort.X["x_00"] == cohort.X["x_00"].min()).mean() == pytest.approx(0.3, abs=0.01)
    if name == "missing by centre":
        whole = cohort.X.group_by(CONTEXT).agg(gone=pl.col("x_05").is_null().all())
        assert whole["gone"].sum() == 4


@pytest.mark.parametrize("where", ["spread", "two", "correlated"])
def test_the_bayes_rule_depends_on_the_separation_alone(where: str) -> None:
    found = {
        separation: plant(Planted(3, separation, 10, where), 6000, np.random.default_rng(1)).oracle
        for separation in (3.0, 4.0)
    }
    assert found[3.0] == pytest.approx(0.685, abs=0.03)  # three corners of a triangle
    assert found[4.0] == pytest.approx(0.882, abs=0.02)
    cohort = plant(Planted(4, 9.0, 5, where, (0.4, 0.3, 0.2, 0.1)), 400, np.random.default_rng(2))
    assert cohort.oracle == 1.0
    assert np.bincount(cohort.truth).argsort().tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("name", sorted(strata_peers.PEERS))
def test_peers_find_what_is_far_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strata_peers, "RESAMPLES", 10)
    monkeypatch.setattr(strata_peers, "NUMBERS", (2, 3, 4))
    cohort = plant(Planted(3, 9.0, 3), 150, np.random.default_rng(3))
    labels = strata_peers.PEERS[name](cohort.values, 1)
    assert adjusted_rand_score(cohort.truth, labels) == 1


@pytest.mark.parametrize(("count", "runs"), [(0, 200), (16, 200), (50, 1000)])
def test_the_upper_bound_is_where_so_few_would_be_seen_in_five_of_hundred(count: int, runs: int) -> None:
    from scipy import stats

    assert stats.binom.cdf(count, runs, upper_bound(count, runs)) == pytest.approx(0.05)
    assert upper_bound(runs, runs) == 1


def test_sections_count_what_was_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([Claim(3, True, False, 0.8), Claim(1, False, False, 0.0)] * 30)

    def claimed(*_: Any, likely: bool = False) -> Claim:
        del likely
        return next(said)

    for study in (strata_claims, strata_power, strata_peers):
        monkeypatch.setattr(study, "claim_of", claimed)
    monkeypatch.setattr(strata_peers, "PEERS", {})
    planted = next(iter(strata_claims.PLANTED))
    records = [
        line
        for name in ("skewed", planted)
        for run in (0, strata_claims.EVERY)
        for line in strata_claims.simulate_run((name, run))
    ]
    records += strata_claims.simulate_run((planted, 1))  # left out
    text = strata_claims.section(records, "x")
    assert f"| skewed | 1 of 2 [0.095, 0.905] | {upper_bound(1, 2):.3f} | 0 of 2" in text
    assert "| **all of these** | 1 of 2" in text
    assert f"| {planted.removeprefix('planted: ')} | 1 of 2" in text
    found = [line for run in range(6) for line in strata_power.simulate_run((strata_power.SCENARIOS[0], run))]
    assert {line["where"] for line in found} == set(strata_power.WHERE)
    assert f"| {strata_power.SCENARIOS[0]} | 3 of 6" in strata_power.section(found, "x")
    sides = [line for run in range(2) for line in strata_peers.simulate_run(("skewed", run))]
    assert "| skewed | 1 of 2" in strata_peers.section(sides, "x")
