"""Relatives lie in one fold; where folds are centres, countries or days, those of the tested train nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.evaluation.calibration import calibration_curve
from experiments.evaluation.combining import resampled, variance
from experiments.evaluation.decision import treat_all_curve
from experiments.examination.estimates import joined
from experiments.probing.instability import bootstrap_rows
from experiments.probing.scoring import dealt_folds
from experiments.validation import certificate as certificates
from experiments.validation.cell import CellData, Fold
from experiments.validation.certificate import ids_disjoint
from experiments.validation.draws import deal_patients, inner_parts, patient_table, relatives, units
from experiments.validation.nested import outer_folds, validate_cell
from experiments.validation.procedure import fit_fold, inner_folds
from experiments.validation.splits import SplitScheme, eligible_rows, make_splits
from experiments.validation.temporal import cuts_of
from features.errors import BadInput
from models.target import Target
from pipeline.stages.train import cell_data
from tests.experiments.evaluated_cohort import cohort as evaluated_cohort
from tests.experiments.evaluated_cohort import sample_of
from tests.experiments.test_temporal import CUT, START
from tests.experiments.validation_cohort import SCHEMES, frames, procedure

LATER = {"later": SplitScheme("temporal", start=START)}
many = settings(max_examples=10, deadline=None)


def related(rows: pl.DataFrame, seed: int, share: float = 0.4) -> pl.DataFrame:
    """Make families of two to four of a share of the patients, whatever their centre, country and time."""
    generator = np.random.default_rng(seed)
    position = np.unique(rows["position"].to_numpy())
    chosen = generator.permutation(position)[: round(share * len(position))]
    family: dict[int, int] = {}
    while len(chosen) > 1:
        size = int(generator.integers(2, 5))
        family |= dict.fromkeys(chosen[:size].tolist(), int(chosen[:size].min()))
        chosen = chosen[size:]
    return rows.with_columns(
        family=pl.col("position").replace_strict(family, default=None, return_dtype=pl.Int64)
    )


def dated(rows: pl.DataFrame) -> pl.DataFrame:
    """Two thirds of the patients came before the cut, in the order of their positions."""
    step = 900.0 / rows["position"].n_unique()
    return rows.with_columns(time=CUT - 700 + step * pl.col("position") + 100.0 * (pl.col("number") - 1))


def related_cell(patients: int = 150, seed: int = 5) -> tuple[CellData, pl.DataFrame, list[dict[str, Any]]]:
    rows, outcomes = frames(patients)
    rows = dated(related(rows, seed))
    eligible, _ = eligible_rows(rows, outcomes, None)
    target = Target.from_labels(eligible["cause"].to_numpy().astype(np.int64))
    splits, folds = make_splits({**SCHEMES, **LATER}, rows, outcomes, 7)
    noise = pl.Series("b_0", np.random.default_rng(2).normal(size=rows.height))
    return CellData(eligible, eligible.select("a_0").with_columns(noise), target), splits, folds


def kinds(folds: list[dict[str, Any]]) -> dict[str, str]:
    return {fold["scheme"]: fold["kind"] for fold in folds}


def sides(rows: pl.DataFrame, one: Any, other: Any) -> int:
    """Return how many families have rows on both sides."""
    return len(set(rows["family"][one].drop_nulls()) & set(rows["family"][other].drop_nulls()))


@many
@given(seed=st.integers(0, 2**31))
def test_no_family_is_on_both_sides_of_any_outer_fold(seed: int) -> None:
    data, splits, folds = related_cell(seed=seed)
    drawn = outer_folds(data.rows, splits, kinds(folds), cuts_of(folds))
    for fold, entry in zip(drawn, sorted(folds, key=lambda one: (one["scheme"], one["fold"])), strict=True):
        train = fold.train(data.rows.height)
        assert sides(data.rows, train, fold.test) == 0
        assert entry["train"] == len(train)
        assert entry["test"] == len(fold.test)
        if fold.scheme == "kfold":
            assert not len(fold.unused)
            assert "relatives" not in entry
        elif fold.scheme != "later":
            assert entry["relatives"] == len(fold.unused) > 0
            assert entry["relatives_patients"] == data.rows["position"][fold.unused].n_unique()
            assert entry["train"] + entry["test"] + entry["relatives"] == data.rows.height


@many
@given(seed=st.integers(0, 2**31), folds=st.integers(2, 7))
def test_a_family_is_dealt_like_one_patient(seed: int, folds: int) -> None:
    rows, outcomes = frames(120, seed=seed % 1000)
    rows = related(rows, seed)
    eligible, status = eligible_rows(rows, outcomes, None)
    patients = patient_table(eligible, status).with_columns(
        fold=pl.Series(deal_patients(patient_table(eligible, status), folds, seed))
    )
    dealt = patients.group_by("unit").agg(
        pl.col("fold").n_unique().alias("folds"), pl.col("fold").first(), pl.col("seen").max()
    )
    assert dealt["folds"].max() == 1
    for part in (dealt, dealt.filter(pl.col("seen") == 2)):
        sizes = [part.filter(pl.col("fold") == fold).height for fold in range(folds)]
        assert max(sizes) - min(sizes) <= 1


def test_families_of_one_and_no_families_give_the_same_folds() -> None:
    rows, outcomes = frames()
    schemes = {**SCHEMES, **LATER}
    rows = dated(rows)
    without = make_splits(schemes, rows.drop("family"), outcomes, 7)
    alone = rows.with_columns(family=pl.when(pl.col("position") == 5).then(pl.lit(5)))
    for other in (rows, alone):
        found = make_splits(schemes, other, outcomes, 7)
        assert found[0].equals(without[0])
        assert found[1] == without[1]
    assert not any("relatives" in entry for entry in without[1])


def test_a_day_sets_aside_the_earlier_relatives_of_those_who_came_later() -> None:
    data, splits, folds = related_cell()
    fold = next(
        one for one in outer_folds(data.rows, splits, kinds(folds), cuts_of(folds)) if one.scheme == "later"
    )
    entry = next(one for one in folds if one["scheme"] == "later")
    early = data.rows["time"].to_numpy() < CUT
    kept_out = fold.unused[early[fold.unused]]
    assert len(kept_out) == entry["relatives"] > 0
    assert set(data.rows["family"][kept_out]) <= set(data.rows["family"][fold.test])


@pytest.mark.parametrize("whole", [(), ("centre",)])
def test_inner_folds_fit_no_relative_of_whom_they_judge(whole: tuple[str, ...]) -> None:
    data, *_ = related_cell()
    nobody = np.empty(0, dtype=np.int64)
    inner, kept = inner_folds(data, Fold("final", 0, 0, nobody, whole=whole), procedure(data, "elastic_net"))
    assert kept == whole
    cut = [
        sides(data.rows, np.flatnonzero(inner != number), np.flatnonzero(inner == number))
        for number in range(3)
    ]
    assert (sum(cut) > 0) == bool(whole)  # centres cut families, dealing does not
    for fitted, judged in inner_parts(data.rows, inner):
        assert sides(data.rows, fitted, judged) == 0
        left = np.setdiff1d(np.arange(data.rows.height), np.union1d(fitted, judged))
        assert (len(left) > 0) == bool(whole)
        assert set(data.rows["family"][left]) <= set(data.rows["family"][judged])


def test_the_folds_of_the_probe_keep_families_whole() -> None:
    data, *_ = related_cell()
    for fold in dealt_folds(data, 4, 3, "permutation", 0):
        assert sides(data.rows, fold.train(data.rows.height), fold.test) == 0


def test_a_bootstrap_sample_draws_a_family_as_often_as_each_of_its_rows() -> None:
    rows = related(frames(60)[0], 1)
    drawn = np.bincount(bootstrap_rows(units(rows), 4), minlength=rows.height)
    counts = (
        pl.DataFrame({"unit": units(rows), "drawn": drawn}).group_by("unit").agg(pl.col("drawn").n_unique())
    )
    assert counts["drawn"].max() == 1
    assert drawn.max() > 1


def test_what_is_dealt_inside_a_learner_keeps_relatives_together() -> None:
    rows, outcomes = frames(100)
    rows = related(rows, 2)
    data = cell_data(rows, rows.select("prediction_id", "a_0"), outcomes, horizons=(), main=None, causes=1)
    assert data.target.groups is not None
    assert (data.target.groups == units(data.rows)).all()
    family = data.rows["family"].to_numpy()
    known = ~np.isnan(family)
    assert (data.target.groups[known] == family[known]).all()


def test_the_whole_cell_passes_with_families_on_its_certificate() -> None:
    data, splits, folds = related_cell(patients=200)
    found = validate_cell(
        data, splits, kinds(folds), procedure(data, "elastic_net", trials=2), cuts=cuts_of(folds)
    ).certificate
    assert all(check["passed"] for check in found["checks"])
    assert found["control_passed"]
    disjoint = next(check for check in found["checks"] if check["check"] == certificates.DISJOINT)
    assert "families" in disjoint["detail"]
    caught = {entry["leak"]: entry["by"] for entry in found["planted"]}
    assert {certificates.DISJOINT, certificates.REFIT} <= set(caught["a relative in both folds"])


def test_without_relatives_the_certificate_speaks_of_none() -> None:
    rows, outcomes = frames(120)
    eligible, _ = eligible_rows(rows, outcomes, None)
    target = Target.from_labels(eligible["cause"].to_numpy().astype(np.int64))
    data = CellData(eligible, eligible.select("a_0"), target)
    fold = Fold("kfold", 0, 0, np.flatnonzero(eligible["position"].to_numpy() % 3 == 0))
    fitted = fit_fold(data, fold, procedure(data, "elastic_net", trials=1))
    assert ids_disjoint(data, fold, fitted).detail == (
        "none shared (outer fold: patients; inner folds: patients)"
    )


def test_a_family_leak_is_found_in_the_outer_and_in_the_inner_folds() -> None:
    data, splits, folds = related_cell()
    fold = next(one for one in outer_folds(data.rows, splits, kinds(folds), cuts_of(folds)) if one.whole)
    leaky = replace(fold, unused=np.empty(0, dtype=np.int64))  # as if relatives had not been set aside
    steps = procedure(data, "elastic_net", trials=1)
    found = ids_disjoint(data, leaky, fit_fold(data, leaky, steps))
    assert not found.passed
    assert "families in fit and test of the outer fold" in found.detail
    honest = fit_fold(data, fold, steps)
    assert ids_disjoint(data, fold, honest).passed
    patients = data.rows["position"].to_numpy()[honest.train]
    cut = replace(honest, inner=(patients % 3).astype(np.int64), inner_whole=())
    found = ids_disjoint(data, fold, cut)
    assert not found.passed
    assert "families cut by the inner folds" in found.detail
    assert "patients cut" not in found.detail


def test_rows_without_the_column_hold_no_relatives() -> None:
    rows = frames(30)[0].drop("family")
    assert (units(rows) == rows["position"].to_numpy()).all()
    assert relatives(rows, np.arange(10)).size == 0


def test_too_few_families_for_the_folds_are_refused() -> None:
    rows, outcomes = frames(60)
    together = rows.with_columns(family=pl.col("position") % 4)
    with pytest.raises(BadInput, match="5 folds need as many patients, 4 are eligible"):
        make_splits({"kfold": SplitScheme("stratified_kfold", folds=5)}, together, outcomes, 7)


PAIRS = 300


def with_twins() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a cohort, and the same with a twin of every patient, who has the same outcome in the same fold."""
    once = evaluated_cohort(PAIRS)
    twins = {
        name: once[name].with_columns(pl.col("prediction_id") + "-twin")
        for name in ("rows", "outcomes", "splits")
    }
    family = pl.col("position") % PAIRS
    twins["rows"] = twins["rows"].with_columns(pl.col("position") + PAIRS)
    twice = {name: pl.concat([once[name], frame]) for name, frame in twins.items()}
    return once, twice | {"rows": twice["rows"].with_columns(family=family)}


def errors(data: dict[str, Any]) -> dict[str, float]:
    """Return what intervals stand on: variances over patients, of resamples, and half-widths of curves."""
    sample = sample_of(data, "kfold")
    risk = (sample.frame["position"].to_numpy() % PAIRS * 0.618) % 1
    parts = sample.parts(risk)
    everybody = replace(joined(parts), fold=0)
    curves = [calibration_curve(parts, 0, points=2), treat_all_curve(parts, np.array([0.2]), 0)]
    return {
        **{name: variance(everybody, name) for name in ("brier", "auroc")},
        "resampled": float(resampled(everybody, ("brier",), 400, 1)["brier"].var()),
        **{
            f"curve {number}": float(curve[0].upper or 0) - float(curve[0].lower or 0)
            for number, curve in enumerate(curves)
        },
    }


def test_a_twin_of_everybody_makes_no_interval_narrower() -> None:
    once, twice = with_twins()
    alone, twins = errors(once), errors(twice)
    strangers = errors(twice | {"rows": twice["rows"].with_columns(family=pl.lit(None, dtype=pl.Int64))})
    for name, value in alone.items():
        assert value > 0
        assert twins[name] == pytest.approx(value, rel=0.25 if name == "resampled" else 0.03), name
        assert strangers[name] < 0.8 * value, name
