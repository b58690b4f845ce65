"""What strata are said to be like is what was planted, and no more; strata that are places are called so."""

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score

from experiments.compute import Compute
from experiments.evaluation.intervals import Interval
from experiments.figures import svg_text
from experiments.stratification.explanation import Explained, explain_strata, membership_matrix
from experiments.stratification.importance import (
    ClassifierTask,
    accuracy_of,
    explain_strata_folds,
    folds_of,
    importance,
    tell_fold,
)
from experiments.stratification.panel import Panel, PanelSettings, find_panel
from experiments.stratification.place_figures import map_figure
from experiments.stratification.places import Located, locate, mutual_information
from experiments.stratification.profile import profile, require_not_made
from experiments.stratification.regions import centroids, regions, two_directions
from experiments.stratification.strata_figures import heat_map_figure
from features.errors import BadInput
from tests.experiments.explained_groups import SETS, planted, rows_of, search

SERIAL = Compute()


def _hard(strata: np.ndarray) -> np.ndarray:
    return np.asarray(np.eye(int(strata.max()) + 1)[strata], dtype=np.float64)


def _profile(X: pl.DataFrame, memberships: np.ndarray, smallest_cell: int = 0) -> pl.DataFrame:
    return profile(
        X,
        memberships,
        ["A", "B"] * (len(X) // 2),
        made=["immune_a"],
        smallest_cell=smallest_cell,
        seed=1,
        bootstraps=200,
    )


def test_effects_are_differences_from_all_in_standard_deviations_with_their_sampling_error() -> None:
    X, truth = planted()
    row = _profile(X, _hard(truth)).row(
        by_predicate=(pl.col("stratum") == 2) & (pl.col("column") == "immune_a"), named=True
    )
    values = X["immune_a"].to_numpy()
    own = values[truth == 1]
    assert row["mean"] == pytest.approx(own.mean())
    assert row["effect"] == pytest.approx((own.mean() - values.mean()) / values.std())
    assert row["effect_lower"] < row["effect"] < row["effect_upper"]
    assert (row["n"], row["made"]) == (80, True)
    noise = _profile(X, _hard(truth)).filter(pl.col("column") == "noise_c")
    # Of a column that tells nothing, the error of a stratum's mean less that of all: sqrt(1/80 - 1/240).
    half = (noise["effect_upper"] - noise["effect_lower"]).to_numpy() / 2
    np.testing.assert_allclose(half, 1.96 * np.sqrt(1 / 80 - 1 / 240), rtol=0.25)
    assert not noise["made"].any()


def test_an_uncertain_patient_counts_in_part() -> None:
    X = pl.DataFrame({"a": [0.0, 0.0, 4.0, 4.0, 8.0, 8.0]})
    memberships = np.array([[1.0, 0.0], [1.0, 0.0], [0.75, 0.25], [0.75, 0.25], [0.0, 1.0], [0.0, 1.0]])
    means = _profile(X, memberships)["mean"].to_list()
    assert means == pytest.approx([0.75 * 8 / 3.5, (0.25 * 8 + 16) / 2.5])


def test_what_is_equal_in_every_stratum_has_no_effect_and_one_group_none_at_all() -> None:
    X, truth = planted(60)
    same = X.with_columns(flat=pl.lit(3.0), kind=pl.Series(["a", "b"] * 30))
    found = _profile(same, np.full((60, 3), 1 / 3))
    np.testing.assert_allclose(found.drop_nulls("effect")["effect"], 0, atol=1e-12)
    assert found.filter(pl.col("column") == "flat")["effect"].null_count() == 3
    assert _profile(X, np.ones((60, 1)))["effect"].abs().max() < 1e-12  # type: ignore[operator]
    assert truth.max() == 2


def test_small_cells_of_a_profile_are_hidden_with_what_gives_them_away() -> None:
    strata = np.repeat([0, 1, 2], [60, 60, 60])
    level = ["x"] * 4 + ["y"] * 56 + ["x"] * 30 + ["y"] * 30 + ["x"] * 25 + ["y"] * 35
    few = [None] * 3 + [float(one) for one in range(177)]
    X = pl.DataFrame({"kind": level, "few_lack": few, "whole": np.arange(180.0)})
    found = _profile(X, _hard(strata), smallest_cell=11)
    kind = found.filter(pl.col("column") == "kind")
    hidden = kind.filter(pl.col("n").is_null())
    assert hidden.filter(pl.col("stratum") == 1).height == 2
    # Each level's hidden counts are at least two and no small sum: none follows from the total.
    counts = pl.DataFrame({"stratum": strata + 1, "level": level}).group_by("stratum", "level").len()
    sums = hidden.join(counts.cast({"stratum": pl.Int32}), on=["stratum", "level"]).group_by("level")
    for _, part in sums:
        assert part.height >= 2
        assert part["len"].sum() >= 11
    assert hidden.select("mean", "effect", "effect_lower", "effect_upper").null_count().row(0) == (
        (hidden.height,) * 4
    )
    lacking = found.filter(pl.col("column") == "few_lack")
    assert lacking["n"].null_count() == 3
    assert lacking["mean"].null_count() == 0
    assert found.filter(pl.col("column") == "whole")["n"].to_list() == [60, 60, 60]


def test_a_p_value_of_a_column_that_made_the_strata_is_refused() -> None:
    require_not_made(["age"], made=["immune_a"])
    with pytest.raises(BadInput, match=r"immune_a, which made these strata"):
        require_not_made(["age", "immune_a"], made=["immune_a", "immune_b"])


def test_contributions_add_up_to_the_scores_of_patients_the_classifier_never_saw() -> None:
    X, truth = planted()
    X = X.with_columns(
        kind=pl.Series(["a", "b", "c", "d"] * 60),
        noise_c=pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise("noise_c"),
    )
    test = np.arange(240) % 5 == 1
    told = tell_fold(ClassifierTask(X, truth, test, 7))
    np.testing.assert_allclose(told.contributions.sum(axis=2) + told.base[:, None], told.scores, atol=1e-9)
    assert "kind" in told.columns
    scrambled = np.where(test, (truth + 1) % 3, truth)
    np.testing.assert_array_equal(tell_fold(ClassifierTask(X, scrambled, test, 7)).scores, told.scores)


def test_importance_finds_the_columns_that_tell_the_strata_apart_and_their_direction() -> None:
    X, truth = planted()
    fold = folds_of(truth, ["A"] * 240, 4, 3)
    assert fold is not None
    folds = explain_strata_folds(X, truth, fold, seed=1, compute=SERIAL)
    table = importance(folds, X.columns, SETS)
    whole = table.filter(pl.col("stratum") == 0)
    assert set(whole.sort("rank")["column"][:2]) == {"immune_a", "immune_b"}
    size = dict(whole.select("column", "mean_absolute").iter_rows())
    assert min(size["immune_a"], size["immune_b"]) > 10 * max(size["noise_c"], size["noise_d"])
    second = table.filter((pl.col("stratum") == 2) & (pl.col("column") == "immune_a")).row(0, named=True)
    assert second["direction"] > 0.5
    assert (second["used"], second["rank"]) == (1.0, 1)
    found = accuracy_of(folds)
    assert found.estimate is not None
    assert found.estimate > 0.95


def test_folds_spread_each_stratum_of_each_centre_evenly() -> None:
    strata, centres = np.repeat([0, 1], [80, 40]), ["A", "B"] * 60
    fold = folds_of(strata, centres, 5, 1)
    assert fold is not None
    for stratum in (0, 1):
        for centre in ("A", "B"):
            own = (strata == stratum) & (np.array(centres) == centre)
            assert np.ptp(np.bincount(fold[own], minlength=5)) <= 1
    assert folds_of(np.array([0] * 20 + [1] * 3), ["A"] * 23, 5, 1) is None


def _panel(X: pl.DataFrame, strata: np.ndarray, accuracy: float, most: int = 4) -> Panel:
    return find_panel(
        X,
        strata,
        ["A"] * len(X),
        settings=PanelSettings(accuracy, most, 4),
        sets=SETS,
        beside=Interval(0.97, 0.95, 0.99),
        seed=1,
        compute=SERIAL,
    )


def test_the_smallest_panel_is_the_two_columns_that_tell_the_strata() -> None:
    X, truth = planted()
    found = _panel(X, truth, 0.9)
    assert found.size == 2
    assert set(found.columns.drop_nulls("step")["column"]) == {"immune_a", "immune_b"}
    assert found.columns.filter(pl.col("step").is_not_null())["share"].min() == 1.0
    chosen = found.path.filter("chosen").row(0, named=True)
    assert chosen["lower"] is None or chosen["lower"] >= 0.9
    smaller = found.path.filter((pl.col("classifier") == "panel") & (pl.col("size") == 1)).row(0, named=True)
    assert smaller["lower"] < 0.9
    assert "It needs the feature set immune." in found.sentence


def test_a_category_and_a_spread_can_be_of_a_panel() -> None:
    generator = np.random.default_rng(4)
    strata = np.arange(200) % 2
    X = pl.DataFrame(
        {
            "kind": np.where(generator.random(200) < 0.05 + 0.9 * strata, "a", "b"),
            "wide": generator.normal(size=200) * np.where(strata == 1, 8.0, 0.3),
            "noise_c": generator.normal(size=200),
        }
    )
    found = _panel(X, strata, 0.85, most=2)
    assert set(found.columns.drop_nulls("step")["column"]) <= {"kind", "wide"}
    assert found.size is not None


def test_a_panel_of_noise_is_not_reached_and_its_accuracy_is_that_of_chance() -> None:
    generator = np.random.default_rng(5)
    X = pl.DataFrame({f"noise_{one}": generator.normal(size=120) for one in range(15)})
    found = _panel(X, np.arange(120) % 2, 0.7, most=3)
    path = found.path.filter(pl.col("classifier") == "panel")
    assert found.size is None
    assert found.sentence.startswith("Not reached")
    assert not path["chosen"].any()
    assert found.columns["step"].null_count() == found.columns.height
    # Chosen on the tested patients too, columns of noise would reach more.
    assert abs(float(path["accuracy"].to_numpy().mean()) - 0.5) < 0.1


def _located(
    strata: np.ndarray,
    centres: Sequence[str | None],
    smallest_cell: int = 0,
    countries: list[str] | None = None,
) -> Located:
    rows = pl.DataFrame({"centre": list(centres), "country": countries or ["DE"] * len(centres)})
    return locate(rows, strata, smallest_cell=smallest_cell, seed=1, permutations=199)


def test_a_stratum_that_is_a_centre_is_named_with_its_shares() -> None:
    strata = np.repeat([0, 1, 2], [100, 100, 50])
    centres = ["A", "B"] * 50 + ["A", "B"] * 50 + ["C"] * 46 + ["A"] * 4
    found = _located(strata, centres)
    assert found.result.status == "failed"
    assert "Stratum 3 is centre C: 92 % of its patients, and 100 % of that centre's." in found.result.reason
    assert found.table.row(0, named=True)["follows"] == "strongly"
    assert found.shares.filter(pl.col("verdict") == "is").select("level", "stratum").rows() == [("C", 3)]
    hidden = _located(strata, centres, smallest_cell=11)
    assert "Stratum 3 is centre C: nearly all" in hidden.result.reason
    assert "92" not in hidden.result.reason
    assert hidden.shares.filter((pl.col("level") == "C") & (pl.col("stratum") == 3))["n"][0] is None


def test_a_stratum_inside_one_country_lies_in_it() -> None:
    generator = np.random.default_rng(2)
    country = np.repeat(["DE", "FR"], 150)
    strata = np.where((country == "FR") & (generator.random(300) < 0.5), 1, 0)
    found = _located(strata, [f"Town {one}" for one in generator.integers(0, 6, 300)], 0, country.tolist())
    assert any(sentence.startswith("Stratum 2 lies in country FR") for sentence in found.sentences)


@pytest.mark.parametrize("seed", range(3))
def test_strata_that_do_not_follow_places_are_not_said_to(seed: int) -> None:
    generator = np.random.default_rng(seed)
    strata = (generator.random(300) < 0.1).astype(np.int64)
    centres: Sequence[str | None] = [*(["A"] * 260), *(["B"] * 35), *([None] * 5)]  # nearly everybody is at A
    found = _located(strata, centres, smallest_cell=11)
    assert found.result.status == "passed"
    assert found.sentences == ()
    row = found.table.row(0, named=True)
    assert row["p"] > 0.01
    assert row["patients"] is None  # with the total it would tell how few have no centre


def test_how_many_of_a_stratum_have_no_place_is_not_had_by_subtraction() -> None:
    strata = np.repeat([0, 1], [150, 120])
    centres = ["A", "B", "C"] * 50 + [None] * 4 + ["A", "B"] * 58
    public, restricted = (_located(strata, centres, smallest_cell=smallest).shares for smallest in (0, 11))
    told = restricted.filter(pl.col("stratum") == 2).drop_nulls("n")
    assert 120 - told["n"].sum() >= 4 + 11
    assert told["of_stratum"].to_list() == pytest.approx((told["n"] / 120).to_list())
    assert public["n"].sum() == 266


def test_mutual_information_is_that_of_the_definition_and_p_is_no_smaller_than_its_resolution() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, 3, 200), generator.integers(0, 5, 200)
    assert mutual_information(first, second, 3, 5) == pytest.approx(mutual_info_score(first, second))
    same = _located(first, [f"C{one}" for one in first])
    assert same.table.row(0, named=True)["p"] == 1 / 200
    assert same.table.row(0, named=True)["adjusted"] == pytest.approx(1.0)


def test_strata_that_follow_the_country_alone_do_not_follow_centres_within_it() -> None:
    generator = np.random.default_rng(6)
    country = generator.integers(0, 2, 400)
    centre = [f"{'DF'[one]}{generator.integers(0, 3)}" for one in country]
    strata = np.where(generator.random(400) < 0.85, country, 1 - country)
    table = _located(strata, list(centre), 0, ["DF"[one] for one in country]).table
    p = dict(table.select("place", "p").iter_rows())
    assert p["country"] == p["centre"] == 1 / 200
    assert p["centre within country"] > 0.01


def test_ellipses_are_of_strata_large_enough_and_say_where_they_lie() -> None:
    X, truth = planted(120)
    truth = np.where(np.arange(120) < 5, 3, truth)
    points, shares = two_directions(X.to_numpy())
    found = regions(points, _hard(truth), smallest_cell=11)
    assert found["stratum"].to_list() == [1, 2, 3]
    assert found["n"].null_count() == 1  # with the total, two sizes would give the fourth away
    assert shares[0] >= shares[1] > 0
    own = points[truth == 1]
    second = found.filter(pl.col("stratum") == 2).row(0, named=True)
    assert (second["centre_first"], second["centre_second"]) == pytest.approx(tuple(own.mean(axis=0)))
    assert second["covariance"] == pytest.approx(np.cov(own.T, ddof=0)[0, 1])


def test_centroids_of_a_country_hide_small_strata() -> None:
    X, truth = planted(120)
    country = ["DE"] * 96 + ["FR"] * 24
    found = centroids(X, truth, country, smallest_cell=11)
    assert found.filter(pl.col("country") == "FR")["effect"].null_count() == 12
    german = found.filter((pl.col("country") == "DE") & (pl.col("column") == "immune_a"))
    assert german["effect"][1] == max(german["effect"])


def _explained(k: int) -> Explained:
    rows, X, found = search(k)
    return explain_strata(
        rows,
        X,
        found,
        panel=PanelSettings(0.9, 2, 3),
        smallest_cell=11,
        public=False,
        seed=1,
        compute=SERIAL,
    )


def test_the_whole_explanation_shows_no_patient_and_its_figures_are_equal_byte_for_byte() -> None:
    made = _explained(3)
    for name, schema in made.schemas.items():
        schema.validate(made.tables[name])
    assert made.notes[-1].startswith("Effect sizes, SHAP values and panels describe")
    texts = {name: svg_text(figure) for name, figure in made.figures.items()}
    assert set(texts) == {
        "null", "selection", "stability", "replication", "heat_map", "map", "importance", "panel", "places",
    }  # fmt: skip
    for text in texts.values():
        assert "baseline-" not in "".join(ElementTree.fromstring(text).itertext())
    tables = made.tables
    assert svg_text(heat_map_figure(tables["profile"], SETS, tables["regions"])) == texts["heat_map"]
    drawn = svg_text(map_figure(tables["regions"], tables["region_axes"], None))
    assert drawn == texts["map"]
    X, truth = planted()
    public = map_figure(tables["regions"], tables["region_axes"], (X.to_numpy()[:, :2], truth))
    assert svg_text(public).count("<use ") > drawn.count("<use ") + 200
    assert "stratum 3" in "".join(ElementTree.fromstring(drawn).itertext())


def test_one_group_is_explained_by_its_profile_alone() -> None:
    made = _explained(1)
    assert made.places.status == "not_asked"
    assert made.tables["importance"].is_empty()
    assert made.tables["profile"]["effect"].abs().max() < 1e-9  # type: ignore[operator]
    assert not {"heat_map", "panel", "places"} & set(made.figures)


def test_memberships_come_in_the_order_of_the_rows() -> None:
    rows = pl.DataFrame({"prediction_id": ["b", "a"]})
    long = pl.DataFrame(
        {"prediction_id": ["a", "a", "b", "b"], "stratum": [1, 2, 2, 1], "probability": [0.9, 0.1, 0.8, 0.2]}
    )
    np.testing.assert_allclose(membership_matrix(rows, long), [[0.2, 0.8], [0.9, 0.1]])


def test_rows_of_the_fixture_do_not_follow_its_strata() -> None:
    X, truth = planted()
    assert locate(rows_of(len(X)), truth, smallest_cell=0, seed=1, permutations=99).result.status == "passed"
