"""Strata found again: in bootstrap samples, in the other country, and for patients that a frozen model has never seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.compute import Compute
from experiments.stratification import stability
from experiments.stratification.assignment import (
    assign_patients,
    certainty,
    certainty_table,
    entropy,
    extent_of,
    in_group_p,
    in_group_proportions,
    nearest_distance,
)
from experiments.stratification.centroids import match_profiles, profiles
from experiments.stratification.replication import replication_test, suppressed_replication
from experiments.stratification.replication_direction import OTHERS
from experiments.stratification.stability import largest_jaccard, stability_test, suppressed_stability
from models.adjustment.plan import AdjustmentPlan
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel
from tests.experiments.planted_groups import planted, recipe_of

SERIAL = Compute()
THRESHOLDS: dict[str, Any] = {
    "between": "country",
    "most_strata": 3,
    "prediction_strength": 0.8,
    "splits": 2,
    "smallest_share": 0.05,
    "agreement": 0.6,
    "centroid_correlation": 0.8,
    "fewest": 60,
    "seed": 3,
    "compute": SERIAL,
}


def test_jaccard_is_intersection_over_union_with_the_likest_stratum() -> None:
    first = np.array([0, 0, 0, 0, 1, 1, 2])
    second = np.array([1, 1, 1, 0, 0, 0, 0])
    assert largest_jaccard(first, second, 3).tolist() == [3 / 4, 2 / 4, 1 / 4]
    assert largest_jaccard(first, (first + 1) % 3, 3).tolist() == [1, 1, 1]


def stable(X: pl.DataFrame, rows: pl.DataFrame, labels: Any, **changes: Any) -> Any:
    asked: dict[str, Any] = {"k": 2, "bootstraps": 10, "threshold": 0.75, "seed": 5, "compute": SERIAL}
    recipe = changes.pop("recipe", recipe_of(X))
    centres = rows["centre"].rank("dense").cast(pl.Int64).to_numpy()
    return stability_test(X, labels, centres, recipe, **{**asked, **changes})


def test_planted_strata_are_stable_and_halves_of_one_group_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, X, truth = planted(120, 5)
    frame, result = stable(X, rows, truth, journal=tmp_path)
    assert (result.status, frame["stable"].to_list()) == ("passed", [True, True])
    assert frame["n"].to_list() == np.bincount(truth).tolist()
    assert (frame["lower"] <= frame["mean_jaccard"]).all()
    assert [figure.name for figure in result.figures] == ["jaccard_1", "jaccard_2", "samples_not_fitted"]
    told = suppressed_stability(frame, smallest_cell=1 + frame["n"].min())
    assert told["n"].to_list() == [None, None]

    monkeypatch.setattr(stability, "bootstrap_jaccard", None)  # all that is needed lies in the journal
    assert stable(X, rows, truth, journal=tmp_path)[0].equals(frame)
    monkeypatch.undo()

    rows, X, _ = planted(120, 0)
    mixture = recipe_of(X, "gaussian_mixture")
    frame, result = stable(X, rows, StrataModel.fit(X, mixture, 2, 1).assign(X), recipe=mixture)
    assert result.status == "failed"
    assert "below 0.75" in result.reason


def test_a_sample_in_which_nothing_can_be_fitted_finds_nothing_again() -> None:
    _, X, truth = planted(19, 5)  # a mixture of two needs twenty patients
    asked: dict[str, Any] = {"k": 2, "bootstraps": 10, "threshold": 0.75, "seed": 5, "compute": SERIAL}
    recipe = recipe_of(X, "gaussian_mixture")
    frame, result = stability_test(X, truth, np.zeros(19, dtype=np.int64), recipe, **asked)
    assert frame["mean_jaccard"].to_list() == [0, 0]
    assert result.figures[-1].estimate == 10


def test_strata_of_both_countries_replicate_and_one_group_does_not() -> None:
    rows, X, _ = planted(240, 6)
    frame, result = replication_test(X, rows, recipe_of(X), **THRESHOLDS, claimed=2)
    assert result.status == "passed"
    figures = {(row["first"], row["figure"], row["stratum"]): row["estimate"] for row in frame.to_dicts()}
    for first in ("DE", "FR"):
        assert figures[first, "number_of_strata", 0] == 2
        assert figures[first, "adjusted_rand_index", 0] > 0.9
        assert figures[first, "kappa", 0] > 0.9
        assert figures[first, "centroid_correlation", 0] > 0.9
        assert min(figures[first, "in_group_proportion", one] for one in (1, 2)) > 0.95
        assert figures[first, "share_carried_over", 1] + figures[first, "share_carried_over", 2] == 1
    hidden = suppressed_replication(frame, smallest_cell=60)
    assert hidden.filter(pl.col("stratum") == 0).equals(
        frame.filter(pl.col("stratum") == 0).sort("first", "second", "figure")
    )
    assert hidden.filter(pl.col("stratum") > 0)["n"].null_count() > 0

    rows, X, _ = planted(240, 0)
    frame, result = replication_test(X, rows, recipe_of(X), **THRESHOLDS)
    assert result.status == "failed"
    assert "DE alone holds one group" in result.reason
    assert all(figure.passed is False for figure in result.figures if figure.threshold is not None)


def test_other_strata_in_the_other_country_do_not_replicate() -> None:
    rows, X, _ = planted(240, 6)
    turned = X.with_columns(  # in France the second column tells the strata
        x_0=pl.when(rows["country"] == "FR").then(X["x_1"]).otherwise(X["x_0"]),
        x_1=pl.when(rows["country"] == "FR").then(X["x_0"]).otherwise(X["x_1"]),
    )
    _, result = replication_test(turned, rows, recipe_of(X), **THRESHOLDS)
    assert result.status == "failed"
    assert "2 strata of DE in FR: adjusted Rand index" in result.reason


def test_countries_too_small_or_of_another_number_and_more_than_two() -> None:
    rows, X, _ = planted(240, 6)
    few = {**THRESHOLDS, "fewest": 121}
    frame, result = replication_test(X, rows, recipe_of(X), **few)
    assert (result.status, frame.height) == ("not_possible", 0)
    assert "Fewer than two countries have 121 patients" in result.reason
    _, result = replication_test(X, rows, recipe_of(X), **THRESHOLDS, claimed=3)
    assert result.status == "failed"
    assert "DE alone holds 2 strata, not 3" in result.reason
    three = rows.with_columns(
        country=pl.Series([("DE", "FR", "IT", None)[place % 4] for place in range(240)])
    )
    frame, _ = replication_test(X, three, recipe_of(X), **{**THRESHOLDS, "fewest": 60, "most_strata": 2})
    assert set(frame.select("first", "second").iter_rows()) == {
        pair for one in ("DE", "FR", "IT") for pair in ((one, OTHERS), (OTHERS, one))
    }
    alone = frame.filter((pl.col("first") != OTHERS) & (pl.col("figure") == "number_of_strata"))
    assert alone["n"].to_list() == [60] * 3
    unfit = Recipe(
        "gaussian_mixture", ("x_0",), plan=AdjustmentPlan(harmonise=("centring",), new_centre="refuse")
    )
    batch = X.with_columns(context_centre=rows["centre"])
    _, result = replication_test(batch, rows, unfit, **THRESHOLDS)
    assert result.status == "not_possible"


def test_profiles_are_matched_whatever_their_order_place_and_unit() -> None:
    draw = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], 40)
    middle = np.array([[0, 0, 5], [4, 0, 0], [0, 4, 0]])[labels]
    seen = pl.DataFrame(draw.normal(size=(120, 3)) + middle, schema=["a", "b", "c"]).with_columns(
        d=pl.Series(np.array(["low", "high", "low"])[labels])
    )
    first = profiles(seen, labels, 3)
    assert first.shape == (3, 5)
    other = seen.with_columns(pl.col("a") * 100 + 7)
    moved = profiles(other, (labels + 1) % 3, 3)
    matched = match_profiles(first, moved)
    assert matched.partner.tolist() == [1, 2, 0]
    assert matched.correlation == pytest.approx(1)
    assert matched.each == pytest.approx((1, 1, 1))
    unknown = profiles(
        seen.with_columns(a=pl.when(pl.Series(labels) == 0).then(None).otherwise("a")), labels, 3
    )
    assert np.isnan(unknown[0, 0])
    assert match_profiles(unknown, unknown).correlation == pytest.approx(1)


def test_in_group_proportion_counts_nearest_neighbours_of_the_same_stratum() -> None:
    points = np.array([[0.0], [1.0], [1.9], [3.0], [9.0], [9.5]])
    assert in_group_proportions(points, np.array([0, 0, 1, 1, 2, 2]), 4).tolist()[:3] == [0.5, 0.5, 1.0]
    assert np.isnan(in_group_proportions(points, np.array([0, 0, 1, 1, 2, 2]), 4)[3])
    draw = np.random.default_rng(1)
    groups = np.concatenate([draw.normal(size=(60, 4)) + centre for centre in 8 * np.eye(4)])
    labels = np.repeat(np.arange(4), 60)
    found = in_group_proportions(groups, labels, 4)
    assert found.tolist() == [1, 1, 1, 1]
    centroids = 8 * np.eye(4)
    p = in_group_p(groups, centroids, found.tolist(), draws=39, seed=1)
    assert all(value is not None and 1 / 40 <= value <= 1 for value in p)
    assert in_group_p(groups, centroids, [0.0] * 4, draws=39, seed=1) == [1.0] * 4


def test_entropy_is_none_where_it_is_certain_and_one_where_all_are_alike() -> None:
    found = entropy(np.array([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]]))
    assert found == pytest.approx([0, 1, np.log(2) / np.log(3)])
    assert entropy(np.ones((4, 1))).tolist() == [0] * 4


def test_one_new_patient_gets_the_figures_that_he_gets_among_many_from_stored_files_too() -> None:
    rows, X, truth = planted(150, 5)
    model = StrataModel.fit(X, recipe_of(X), 2, 1)
    again = StrataModel.from_parts(model.to_parts())
    strata, memberships = assign_patients(rows, X, model)
    alone = [assign_patients(rows[[place]], X[[place]], again) for place in range(5)]
    assert pl.concat([one for one, _ in alone]).equals(strata[:5])
    assert pl.concat([one for _, one in alone]).equals(memberships[:10])
    assert memberships.group_by("prediction_id").agg(pl.col("probability").sum())[
        "probability"
    ].to_list() == pytest.approx([1] * 150)
    agree = float((strata["stratum"].to_numpy() - 1 == truth).mean())
    assert max(agree, 1 - agree) > 0.95


def test_certainty_is_told_of_all_and_of_each_stratum_that_is_large_enough() -> None:
    rows, X, _ = planted(150, 5)
    model = StrataModel.fit(X, recipe_of(X), 2, 1)
    strata, _ = assign_patients(rows, X, model)
    table = certainty_table(strata, 2, 0)
    assert table["stratum"].to_list() == [0, 1, 2]
    assert table["share"].to_list()[0] == 1
    whole = table.row(0, named=True)
    assert whole["certain"] == pytest.approx((strata["probability"] >= 0.8).mean())
    assert whole["entropy"] == pytest.approx(strata["entropy"].mean())
    hidden = certainty_table(strata, 2, smallest_cell=1 + min(table["n"].to_list()))
    assert hidden["entropy"].null_count() == 2
    assert hidden["n"].to_list()[0] == 150
    assert certainty(strata, smallest_cell=0) == table.to_dicts()
    assert certainty_table(strata.clear(), 2, 0)["n"].to_list() == [0, 0, 0]


def test_the_limit_of_the_strata_is_no_patients_own_and_few_patients_have_none() -> None:
    _, X, _ = planted(400, 4)
    model = StrataModel.fit(X, recipe_of(X), 2, 1)
    points, labels = model.points(X), model.assign(X)
    extent = extent_of(points, labels, 2)
    assert extent is not None
    far = nearest_distance(points, extent.centroids) > extent.limit
    assert far.sum() >= 11
    assert extent.beyond == pytest.approx(far.mean(), rel=1e-3)
    few = np.where(np.arange(400) < 10, 1, 0)
    assert extent_of(points, few, 2) is None


def test_a_new_centre_is_met_as_the_plan_says() -> None:
    rows, X, _ = planted(200, 5, columns=2)
    whole = X.with_columns(context_centre=rows["centre"])
    shifted = (
        pl.when(rows["centre"] == "Ulm").then(10).otherwise(0)
    )  # centres differ: a new one's shift is believed
    german = whole.with_columns(pl.col("x_0", "x_1") + shifted).filter(rows["country"] == "DE")
    french = whole.filter(rows["country"] == "FR").with_columns(pl.col("x_0", "x_1") + 20)
    plan = AdjustmentPlan(harmonise=("centring",), new_centre="local")
    recipe = Recipe("gaussian_mixture", ("x_0", "x_1"), plan=plan)
    model = StrataModel.fit(german, recipe, 2, 1)
    assert len(set(model.assign(french))) == 1  # twenty off: all are of one stratum
    adapted = model.with_local(french)
    assert 0.3 < adapted.assign(french).mean() < 0.7
    kept = StrataModel.fit(german, replace(recipe, plan=replace(plan, new_centre="grand_mean")), 2, 1)
    assert kept.with_local(french) is kept
    refusing = StrataModel.fit(german, replace(recipe, plan=replace(plan, new_centre="refuse")), 2, 1)
    with pytest.raises(BadTarget):
        refusing.assign(french)
