"""Refits: none is the model as it was, harmonisation helps where centres were shifted, and k local patients come up to all."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from experiments.audit.comparing import paired
from experiments.audit.comparison import Compared, Scheme, compare_refits
from experiments.audit.local_centres import HALF, LocalCentre
from experiments.audit.new_centre import mean_interval, needed, new_centre_rows
from experiments.audit.refits import Lead, run_refit, task_of
from experiments.audit.schemas import NewCentre, Refitted
from experiments.audit.setting import Audit, AuditSettings
from experiments.evaluation.sample import PLACES, Sample
from experiments.examination.estimates import Frame, measure_of
from experiments.validation.cell import Fold, Procedure
from experiments.validation.procedure import fit_fold
from features.errors import BadInput
from models.adjustment.plan import AdjustmentPlan
from models.registry import LEARNERS
from tests.experiments.audited_rows import planted, row_of

PARAMETERS = {"penalty": 0.01, "l1_ratio": 0.0}
SETTINGS = AuditSettings(
    harmonise=("none", "centring"), impute=("none", "median"), local_patients=(0, 5, 20), local_draws=3
)


def procedure(audit: Audit) -> Procedure:
    return Procedure(
        kind=LEARNERS["elastic_net"],
        kind_name="elastic_net",
        fixed={},
        predictors=tuple(sorted(audit.feature_sets)),
        trials=2,
        inner_folds=3,
        seed=7,
        names=("relapse", "elastic_net"),
    )


def scheme_of(audit: Audit, kind: str) -> Scheme:
    """Return a scheme that deals patients, leaves out two centres at a time, or a country."""
    rows = audit.data.rows
    named = {
        "stratified_kfold": pl.Series(np.arange(rows.height) % 3).cast(pl.String),
        "leave_centre_out": (rows["centre"].rank("dense") % 3).cast(pl.String),
        "leave_country_out": rows["country"],
    }[kind]
    groups = named.unique().sort().to_list()
    fold = named.replace_strict(groups, list(range(len(groups))), return_dtype=pl.Int32)
    target = audit.data.target
    frame = rows.with_columns(
        repeat=pl.lit(0, pl.Int32), fold=fold, group=named, label=target.labels().astype(np.float64)
    ).with_columns(
        weight=pl.lit(1.0),
        family=pl.lit(None, pl.Int64),
        **{name: pl.lit("one") for name in PLACES if name not in rows.columns},
    )
    whole = {"leave_centre_out": ("centre",), "leave_country_out": ("country", "centre")}.get(kind, ())
    folds = [
        Fold(kind, 0, number, np.flatnonzero(fold.to_numpy() == number), whole=whole)
        for number in range(len(groups))
    ]
    ordered = frame.sort("fold", "position")
    return Scheme(kind, kind, Sample(kind, kind, 0.0, ordered, 1 / max(1, len(groups) - 1)), folds)


def lead_of(audit: Audit, *kinds: str) -> tuple[Lead, list[Scheme]]:
    schemes = [scheme_of(audit, kind) for kind in kinds]
    parameters: Mapping[str, dict[str, float]] = {
        fold.name: PARAMETERS for scheme in schemes for fold in scheme.folds
    }
    return Lead(procedure(audit), AdjustmentPlan(), parameters), schemes


@cache
def shifted() -> tuple[Audit, Compared]:
    """Return a cohort whose centres shift every column by much, and all refits of it."""
    audit = planted(1000, centres=12, shift=1.0, effect=2.0)
    some = pl.when(pl.int_range(1000) % 5 == 0).then(None).otherwise(pl.col("x_5")).alias("x_5")
    audit = replace(audit, data=replace(audit.data, X=audit.data.X.with_columns(some)))
    lead, schemes = lead_of(audit, "stratified_kfold", "leave_centre_out", "leave_country_out")
    return audit, compare_refits(audit, lead, schemes, SETTINGS)


def test_without_harmonisation_a_refit_is_the_model_as_it_was() -> None:
    audit = planted(200)
    lead, (scheme,) = lead_of(audit, "stratified_kfold")
    fold = scheme.folds[0]
    own = run_refit(task_of(audit, lead, fold, "none", "none"))
    before = fit_fold(audit.data, fold, lead.procedure, parameters=PARAMETERS)
    assert own.risk == pytest.approx(before.predict(audit.data.X[fold.test])[:, 0, 0], abs=1e-12)


def test_harmonisation_helps_where_patients_of_shifted_centres_are_mixed() -> None:
    audit, found = shifted()
    table = audit.table(Refitted, found.harmonisation, learner="elastic_net", horizon=0.0)
    assert set(table["metric"]) == {
        "auroc", "observed_to_expected", "calibration_slope", "brier", "inner_log_loss",
    }  # fmt: skip
    gain = row_of(
        found.harmonisation,
        scheme="stratified_kfold",
        metric="auroc",
        method="centring",
        reference="none",
    )
    assert gain["estimate"] > 0.03
    assert gain["p"] is not None
    own, other = (
        row_of(found.harmonisation, scheme="stratified_kfold", metric="auroc", method=method, reference=None)
        for method in ("centring", "none")
    )
    assert gain["estimate"] == pytest.approx(own["estimate"] - other["estimate"])


def test_what_each_training_country_picks_is_told() -> None:
    _, found = shifted()
    for group in ("DE", "FR"):
        losses = [
            row for row in found.harmonisation if row["metric"] == "inner_log_loss" and row["group"] == group
        ]
        assert {row["method"] for row in losses} == {"none", "centring"}
        (best,) = (row for row in losses if row["chosen"])
        assert best["estimate"] == min(row["estimate"] for row in losses)
        assert found.inner_choice["leave_country_out"][group] == best["method"]


def test_local_patients_bring_a_new_centre_up_to_what_all_of_them_give() -> None:
    audit, found = shifted()
    rows, summary, why = new_centre_rows(found.centres)
    assert why == {}
    curve = {
        row["local_patients"]: row
        for row in rows
        if row["metric"] == "log_loss" and row["policy"] != "refuse"
    }
    assert set(curve) == {0, 5, 20, None}
    assert 0 < curve[5]["gain"] < curve[None]["gain"]
    assert curve[20]["gain"] == pytest.approx(curve[None]["gain"], abs=0.5 * curve[None]["gain"])
    assert curve[None]["gain_lower"] > 0
    need = summary["leave_centre_out"]["centring"]["log_loss"]
    assert need["local_patients"] in {5, 20}
    refuse = row_of(rows, policy="refuse")
    assert refuse["answered"] == 0.0
    assert "estimate" not in refuse
    assert audit.table(NewCentre, rows, learner="x", horizon=0.0).height == len(rows)


def test_the_number_needed_is_the_first_from_which_on_all_is_reached() -> None:
    def row(many: int | None, gain: float) -> dict[str, object]:
        return {
            "local_patients": many,
            "gain": gain,
            "gain_lower": gain - 0.01,
            "gain_upper": gain + 0.01,
            "centres": 9,
        }

    rising = [row(0, 0.0), row(5, 0.05), row(10, 0.09), row(20, 0.1), row(None, 0.1)]
    assert needed(rising, "log_loss")["local_patients"] == 10
    dipping = [row(0, 0.0), row(5, 0.1), row(10, 0.05), row(20, 0.1), row(None, 0.1)]
    assert needed(dipping, "log_loss")["local_patients"] == 20
    flat = [row(0, 0.0), row(5, 0.0), row(None, 0.001)]
    assert needed(flat, "log_loss")["local_patients"] == 0
    assert needed([], "log_loss")["local_patients"] is None


def test_two_centres_have_no_curve() -> None:
    centres = [LocalCentre(name, {("auroc", 0): 0.7, ("auroc", HALF): 0.7}) for name in "ab"]
    rows, _, why = new_centre_rows({("centres", "combat"): centres})
    assert rows == []
    assert "fewer than three centres" in why["new centre, centres, combat"]
    assert mean_interval(np.array([0.5]))[1:] == (None, None)


def test_a_pair_of_equal_risks_differs_by_nothing() -> None:
    audit = planted(300)
    scheme = scheme_of(audit, "leave_country_out")
    risk = np.random.default_rng(1).uniform(0.1, 0.9, 300)
    parts = scheme.sample.parts(risk)
    for found in paired(Frame("leave_country_out", 1.0), parts, parts, "auroc"):
        assert found.interval.estimate == 0.0
        assert found.interval.lower is None
    other = scheme.sample.parts(np.clip(risk * 0.5, 0, 1))
    for found, one in zip(
        paired(Frame("leave_country_out", 1.0), parts, other, "observed_to_expected"), parts, strict=True
    ):
        assert found.interval.estimate == pytest.approx(0.5)
        assert measure_of("observed_to_expected").value(one) > 0


def test_imputations_are_compared_where_values_are_missing() -> None:
    _, found = shifted()
    assert {row["method"] for row in found.imputation} == {"none", "median"}


def test_one_centre_and_other_trials_are_answered() -> None:
    audit = planted(200, centres=2)
    one = replace(audit, data=replace(audit.data, rows=audit.data.rows.with_columns(centre=pl.lit("one"))))
    lead, schemes = lead_of(one, "stratified_kfold")
    found = compare_refits(one, lead, schemes, SETTINGS)
    assert found.harmonisation == []
    assert found.why["harmonise"] == "1 centre is known: nothing is brought together"
    assert found.why["impute"].startswith("no number among the learner's predictors is missing")
    with pytest.raises(
        BadInput, match="have none for the fold stratified_kfold_0_0: they are from another run"
    ):
        compare_refits(audit, replace(lead, parameters={}), schemes, SETTINGS)


def test_no_scheme_to_refit_in_is_a_sentence() -> None:
    audit = planted(100)
    lead, (scheme,) = lead_of(audit, "stratified_kfold")
    found = compare_refits(audit, lead, [replace(scheme, kind="temporal")], SETTINGS)
    assert found.why == {"refits": "no scheme deals patients at random or leaves a centre or a country out"}


def test_what_the_inner_loop_chose_is_told_and_kept() -> None:
    audit = planted(200)
    lead, (scheme,) = lead_of(audit, "stratified_kfold")
    chosen = {"harmonise": "combat", "impute": "median"}
    tuned = replace(
        lead,
        plan=AdjustmentPlan(harmonise=("none", "combat"), impute=("none", "median")),
        parameters={fold.name: {**PARAMETERS, **chosen} for fold in scheme.folds},
    )
    found = compare_refits(audit, tuned, [scheme], SETTINGS)
    assert found.chosen["stratified_kfold"] == [{"fold": fold.name, **chosen} for fold in scheme.folds]
    assert tuned.parameters_of(scheme.folds[0]) == PARAMETERS
    assert {row["method"] for row in found.harmonisation} == {"none", "centring"}
