"""Differences between subgroups with their multiplicity, and performance by pattern of modalities."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.multitest import multipletests

from experiments.disclosure import SUPPRESSED
from experiments.evaluation.metrics import expit, logit
from experiments.examination.estimates import Frame, estimates, joined
from experiments.examination.patterns import OTHER_PATTERNS, pattern_rows
from experiments.examination.schemas import Patterns, SubgroupDifferences
from experiments.examination.subgroup_differences import (
    difference,
    holm,
    level_difference,
    subgroup_differences,
)
from tests.experiments.examined_rows import Arrays, examination, planted, scheme_of

KFOLD, CENTRES, COUNTRIES = "stratified_kfold", "leave_centre_out", "leave_country_out"


def differences(data: Arrays, kind: str, smallest_cell: int = 0, **places: Any) -> pl.DataFrame:
    shared = examination(smallest_cell)
    rows = subgroup_differences(shared, scheme_of(data, kind, **places), tuple(places))
    return shared.table(SubgroupDifferences, rows)


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(1).random(40) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm(np.empty(0)).shape == (0,)


def test_holm_controls_the_chance_of_any_false_difference() -> None:
    draw = np.random.default_rng(2)
    any_found = np.mean([(holm(draw.random(15)) < 0.05).any() for _ in range(4000)])
    assert any_found < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert np.mean([(draw.random(15) < 0.05).any() for _ in range(500)]) > 0.4  # without it


@pytest.mark.parametrize("kind", [KFOLD, CENTRES, COUNTRIES])
def test_a_planted_subgroup_is_found_and_the_others_are_not(kind: str) -> None:
    draw = np.random.default_rng(3)
    network = draw.choice(["autism", "bipolar", "psychosis"], 9000)
    sex = draw.choice(["female", "male"], 9000)
    shift = np.where(network == "autism", 1.0, -0.3)
    data = planted(9000, seed=3, shift=shift, folds=10 if kind != COUNTRIES else 2)
    table = differences(data, kind, sex=sex, network=network)
    oe = table.filter(pl.col("metric") == "observed_to_expected")
    found = oe.filter(pl.col("p_holm") < 0.05)
    assert "autism" in found["level"].to_list()
    assert (found.filter(pl.col("level") == "autism")["estimate"] > 1.2).all()
    assert "female" not in found["level"].to_list()
    assert oe["tests"].unique().to_list() == [4]  # two levels are one test, three are three
    assert set(oe.filter(pl.col("variable") == "sex")["others"]) == {"male"}
    assert (table["p_holm"] >= table["p"]).all()
    assert table["group"].n_unique() == (2 if kind == COUNTRIES else 1)


def test_the_difference_of_an_auroc_has_the_interval_of_resampled_patients() -> None:
    data = planted(800, seed=4, folds=1)
    sex = np.where(np.arange(800) % 3 == 0, "female", "male")
    part = scheme_of(data, COUNTRIES, sex=sex).parts[0]
    for metric in ("auroc", "observed_to_expected"):
        quantity = difference("sex", "female", metric)
        draw = np.random.default_rng(5)
        figures = []
        for _ in range(400):
            drawn = np.bincount(draw.integers(800, size=800), minlength=800).astype(np.float64)
            figures.append(quantity.value(replace(part, weight=drawn)))
        spread = np.std(np.log(figures) if quantity.scale == "log" else figures)
        interval = estimates(Frame(COUNTRIES, 1.0), [part], quantity)[0].interval
        assert interval.lower is not None
        assert interval.upper is not None
        ends = np.array([interval.lower, interval.upper])
        width = np.ptp(np.log(ends) if quantity.scale == "log" else ends) / 2 / 1.96
        assert width == pytest.approx(spread, rel=0.12)


def test_ratios_are_taken_of_sums_over_folds_as_the_mean_of_small_ratios_is_too_high() -> None:
    sex = np.random.default_rng(4).choice(["female", "male"], 300)
    tested = scheme_of(planted(300, seed=4, folds=10), KFOLD, sex=sex)
    whole = joined(tested.parts)
    ratios = [
        float(whole.weight[rows] @ whole.label[rows] / (whole.weight[rows] @ whole.risk[rows]))
        for rows in (whole.places["sex"] == level for level in ("female", "male"))
    ]
    found = level_difference(tested, "sex", "female", "observed_to_expected")[0]
    assert found.interval.estimate == pytest.approx(ratios[0] / ratios[1])
    assert found.interval.kind == "patient_variance"
    assert found.p is not None


def test_small_levels_are_hidden_and_one_level_is_no_subgroup() -> None:
    data = planted(1000, seed=6)
    network = np.where(np.arange(1000) < 6, "autism", np.where(np.arange(1000) < 500, "bipolar", "psychosis"))
    table = differences(data, KFOLD, 11, network=network, sex=np.full(1000, "female"))
    hidden = table.filter(pl.col("estimate").is_null())
    assert set(hidden["level"]) >= {"autism"}
    assert hidden["level"].n_unique() == 2
    assert set(hidden["note"]) == {SUPPRESSED}
    assert hidden["p"].null_count() == hidden["n"].null_count() == hidden.height
    assert "sex" not in table["variable"].to_list()


def patterned(data: Arrays, names: Any, smallest_cell: int = 0, kind: str = KFOLD) -> Any:
    shared = examination(smallest_cell)
    scheme = scheme_of(data, kind)
    rows, why = pattern_rows(
        shared, scheme, dict(zip(scheme.sample.frame["prediction_id"], names, strict=True))
    )
    return shared.table(Patterns, rows), why


def test_a_pattern_without_signal_stands_apart_and_small_ones_are_pooled() -> None:
    data = planted(4000, seed=7)
    number = np.arange(4000)
    names = np.where(number < 1500, "clinical", "clinical + genetic")
    names = np.where(number >= 3980, "genetic", names)
    draw = np.random.default_rng(7)
    blind = number < 1500
    data["label"] = np.where(blind, draw.random(4000) < data["risk"].mean(), data["label"]).astype(float)
    table, why = patterned(data, names)
    assert why == ""
    area = dict(table.filter(pl.col("metric") == "auroc").select("pattern", "estimate").iter_rows())
    assert area["clinical"] == pytest.approx(0.5, abs=0.05)
    assert area["clinical + genetic"] > 0.7
    assert set(area) == {"clinical", "clinical + genetic", OTHER_PATTERNS}
    assert area[OTHER_PATTERNS] is None  # twenty rows have too few events for a figure
    sizes = dict(table.filter(pl.col("metric") == "brier").select("pattern", "n").iter_rows())
    assert sizes["clinical"] == 1500
    assert sum(sizes.values()) == 4000


def test_a_few_with_another_pattern_are_not_given_away() -> None:
    data = planted(1500, seed=8)
    number = np.arange(1500)
    names = np.where(number < 4, "none", np.where(number < 700, "clinical", "clinical + genetic"))
    table, _ = patterned(data, names, smallest_cell=11)
    sizes = table.filter(pl.col("metric") == "brier")
    assert sizes["n"].drop_nulls().min() >= 11
    assert set(sizes["pattern"]) == {
        "clinical + genetic",
        OTHER_PATTERNS,
    }  # the second largest hides the four
    _, why = patterned(data, np.where(number < 4, "none", "clinical"), smallest_cell=11)
    assert why == "every prediction has the same modalities, or too few have others"


def test_the_truth_of_planted_rows_is_as_said() -> None:
    """The rows that the other tests plant: their risks are calibrated unless a shift or a slope is asked for."""
    data = planted(50000, seed=9)
    assert data["label"].mean() == pytest.approx(data["risk"].mean(), abs=0.01)
    shifted = planted(50000, seed=9, shift=1.0)
    assert np.allclose(shifted["truth"], expit(1.0 + logit(shifted["risk"])))
