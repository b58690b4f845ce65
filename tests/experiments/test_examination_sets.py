"""Label sets cover what they say, on folds they were not calibrated on; abstaining costs what was planted."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.disclosure import SUPPRESSED
from experiments.examination.abstaining import abstaining_rows
from experiments.examination.conformal import label_sets, limit, set_rows
from experiments.examination.schemas import Abstaining, LabelSets
from tests.experiments.examined_rows import Arrays, examination, planted, scheme_of

KFOLD = "stratified_kfold"


def sets(data: Arrays, level: float = 0.9, smallest_cell: int = 0) -> Any:
    rows, _, why = set_rows(examination(smallest_cell), scheme_of(data, KFOLD), (level,))
    assert why == ""
    return examination().table(LabelSets, rows)


def estimate(table: pl.DataFrame, metric: str, group: str | None = None) -> float:
    own = table.filter((pl.col("metric") == metric) & pl.col("group").eq_missing(pl.lit(group, pl.String)))
    return float(own["estimate"][0])


@pytest.mark.parametrize("level", [0.9, 0.8])
@pytest.mark.parametrize("slope", [1.0, 0.3])
def test_sets_cover_each_class_as_declared_whatever_the_risks_calibration(level: float, slope: float) -> None:
    table = sets(planted(6000, seed=1, shift=0.5, slope=slope), level)
    for metric in ("coverage", "coverage: event", "coverage: no event"):
        # Three standard errors of a class of 2,000 or more.
        assert estimate(table, metric) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 2000))
    shares = sum(estimate(table, f"share: {kind}") for kind in ("event", "no event", "both", "neither"))
    assert shares == pytest.approx(1)


def test_the_interval_of_the_coverage_holds_the_declared_level() -> None:
    """Over 60 exchangeable samples the mean coverage is at least the declared one, and close to it."""
    found = [estimate(sets(planted(400, seed=seed)), "coverage") for seed in range(60)]
    assert np.mean(found) == pytest.approx(0.9, abs=0.012)


def test_weights_restore_the_coverage_where_censoring_hides_late_events() -> None:
    data = planted(12000, seed=2)
    draw = np.random.default_rng(2)
    late = draw.random(12000) < data["risk"]  # events of high risk are seen less often
    seen = np.where((data["label"] == 1) & late, draw.random(12000) < 0.3, True)
    chance = np.where((data["label"] == 1) & late, 0.3, 1.0)
    weighted = scheme_of(data | {"weight": np.where(seen, 1 / chance, 0.0)}, KFOLD)
    plain = scheme_of(data | {"weight": seen.astype(np.float64)}, KFOLD)
    by = {}
    for name, scheme in (("weighted", weighted), ("plain", plain)):
        found = label_sets(scheme.parts, 0.9)
        assert found is not None
        event = np.concatenate([part.label == 1 for part in scheme.parts])
        by[name] = float(np.concatenate([own.event for own in found])[event].mean())
    assert by["weighted"] == pytest.approx(0.9, abs=0.015)
    assert by["plain"] > 0.92


def test_a_fold_is_never_calibrated_on_itself() -> None:
    parts = list(scheme_of(planted(500, seed=3), KFOLD).parts)
    before = label_sets(parts, 0.9)
    changed = replace(parts[0], label=1 - parts[0].label)
    after = label_sets([changed, *parts[1:]], 0.9)
    assert before is not None
    assert after is not None
    assert np.array_equal(before[0].event, after[0].event)
    assert np.array_equal(before[0].none, after[0].none)
    assert any(
        not np.array_equal(one.event, other.event) for one, other in zip(before[1:], after[1:], strict=True)
    )
    assert label_sets(parts[:1], 0.9) is None
    _, _, why = set_rows(
        examination(), replace(scheme_of(planted(50, 1), KFOLD), parts=tuple(parts[:1])), (0.9,)
    )
    assert why == "one test fold: there is no other to calibrate on"


def test_the_limit_is_the_order_statistic_of_split_conformal_and_infinite_for_few() -> None:
    score = np.random.default_rng(4).random(99)
    assert limit(score, np.ones(99), 0.9) == np.sort(score)[89]  # the 90th of 99: ceil(0.9 * 100)
    assert limit(score[:8], np.ones(8), 0.9) == np.inf
    assert limit(score[:9], np.ones(9), 0.9) == score[:9].max()
    assert limit(np.empty(0), np.empty(0), 0.9) == np.inf
    doubled = np.concatenate([score, score])
    assert limit(doubled, np.full(198, 0.5), 0.9) == pytest.approx(limit(score, np.ones(99), 0.9), abs=0.02)


def test_centres_are_shown_with_their_coverage_and_small_ones_hidden() -> None:
    data = planted(900, seed=5)
    centre = np.where(np.arange(900) < 8, "tiny", np.where(np.arange(900) < 400, "north", "south"))
    shift = np.where(centre == "north", 2.0, 0.0)
    moved = planted(900, seed=5, shift=shift) | {"centre": centre}
    open_to_all = sets(moved)
    assert estimate(open_to_all, "coverage", "north") < estimate(open_to_all, "coverage", "south")
    hidden = sets(data | {"centre": centre}, smallest_cell=11).filter(pl.col("group").is_not_null())
    by_name = {row["group"]: row for row in hidden.to_dicts()}
    assert by_name["tiny"]["estimate"] is None
    assert by_name["tiny"]["note"] == SUPPRESSED
    assert sum(row["estimate"] is None for row in by_name.values()) == 2  # another would give it away
    promise = set_rows(examination(), scheme_of(moved, KFOLD), (0.9,))[1]["promise"]
    assert "no coverage is promised for a single centre" in promise


@pytest.mark.parametrize("patients", [130, 260, 900])
def test_no_coverage_tells_of_a_few_patients_whose_set_misses_the_truth(patients: int) -> None:
    data = planted(patients, seed=9) | {"centre": np.arange(patients) % 5}
    data = data | {"centre": np.char.add("c", data["centre"].astype(str))}
    scheme = scheme_of(data, KFOLD)

    def missed(smallest_cell: int) -> dict[tuple[str, str | None, float], int]:
        rows = set_rows(examination(smallest_cell), scheme, (0.9, 0.85, 0.8))[0]
        size = {"coverage: no event": int((data["label"] == 0).sum())}
        return {
            (row["metric"], row["group"], row["level"]): round(
                (1 - row["estimate"]) * (row["n"] or size[row["metric"]])
            )
            for row in rows
            if row["metric"].startswith("coverage") and row["estimate"] is not None
        }

    shown, everything = missed(11), missed(0)
    assert any(0 < count < 11 for count in everything.values())
    assert all(count >= 11 for count in shown.values())
    for (metric, group, level), count in shown.items():
        others = [shown.get((metric, group, other), count) for other in (0.9, 0.85, 0.8) if other != level]
        assert all(abs(count - other) not in range(1, 11) for other in others)
    for level in (0.9, 0.85, 0.8):
        centres = [key for key in everything if key[1] and key[2] == level]
        left = [everything[key] for key in centres if key not in shown]
        assert len(left) != 1
        assert not left or sum(left) >= 11 or ("coverage", None, level) not in shown
    assert shown


def abstaining(data: Arrays, within: Any = (0.05,), smallest_cell: int = 0) -> pl.DataFrame:
    shared = examination(smallest_cell)
    return shared.table(Abstaining, abstaining_rows(shared, scheme_of(data, KFOLD), (0.9,), within))


def cost(table: pl.DataFrame, rule: str, metric: str) -> float:
    return float(table.filter((pl.col("rule") == rule) & (pl.col("metric") == metric))["estimate"][0])


def test_abstaining_costs_the_planted_events_and_leaves_the_planted_order() -> None:
    """A quarter of the rows has a risk of 0.4 and 30 % of the events; the rest is in perfect order."""
    risk = np.tile([0.4, 0.1, 0.1, 0.9], 500)
    label = np.where(risk == 0.9, 1.0, 0.0)
    near = np.flatnonzero(risk == 0.4)
    label[near[: int(500 * 3 / 7)]] = 1.0
    data = planted(2000, seed=6) | {"risk": risk, "label": label, "fold": np.arange(2000) // 4 % 5}
    table = abstaining(data)
    rule = "near the threshold"
    assert cost(table, rule, "share_abstained") == pytest.approx(0.25)
    assert cost(table, rule, "events_missed") == pytest.approx(0.3, abs=0.001)
    assert cost(table, rule, "auroc") == pytest.approx(1.0)
    assert cost(table, rule, "net_benefit") == pytest.approx(500 / 1500)
    assert cost(table, "never", "events_missed") == 0
    assert cost(table, "never", "auroc") < 1
    assert table.filter((pl.col("rule") == rule) & (pl.col("metric") == "auroc"))["n"].to_list() == [1500]


def test_a_few_that_get_no_answer_are_not_counted_in_public() -> None:
    data = planted(600, seed=7)
    few = np.sort(np.abs(data["risk"] - 0.4))[5] + 1e-9
    shown, hidden = (abstaining(data, (few, 0.2), cell) for cell in (0, 11))
    rule = pl.col("level") == few
    assert shown.filter(rule)["estimate"].null_count() == 0
    assert hidden.filter(rule)["estimate"].null_count() == hidden.filter(rule).height
    assert hidden.filter(rule)["n"].null_count() == hidden.filter(rule).height
    assert hidden.filter(pl.col("level") == 0.2)["estimate"].null_count() == 0
