import hashlib
import json
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.validation import certificate as certificates
from experiments.validation.certificate import permute_outcomes, preprocessing_state, prove, scramble
from experiments.validation.nested import outer_folds, validate_cell
from experiments.validation.planted import catch_planted
from experiments.validation.procedure import fit_fold
from experiments.validation.proxies import refuse_proxies, suspicion
from features.errors import BadInput
from models.elastic_net import ElasticNet
from models.registry import LEARNERS
from models.target import Target
from tests.experiments.validation_cohort import cell, procedure

DATA, SPLITS, KINDS = cell(patients=120)
FOLDS = outer_folds(DATA.rows, SPLITS, KINDS)
FIXED = {"penalty": 0.01, "l1_ratio": 0.0}


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (name, times)
        for name, kind in sorted(LEARNERS.items())
        for times in (False, True)
        if ("time" if times else "label") in kind.targets
    ],
)
def test_an_honest_cell_passes_and_every_planted_leak_is_caught(kind: str, times: bool) -> None:
    data, splits, kinds = cell(patients=150, times=times)
    few = {"rounds": 25} if "rounds" in LEARNERS[kind].defaults else {}
    found = validate_cell(data, splits, kinds, procedure(data, kind, trials=2, fixed=few)).certificate
    assert all(check["passed"] for check in found["checks"])
    assert found["control_passed"]
    caught = {entry["leak"]: entry["by"] for entry in found["planted"] if entry["caught"]}
    assert certificates.REFIT in caught["scaler fitted before the split"]
    assert {certificates.REFIT, certificates.TRANSFORM} <= set(caught["feature derived from the outcome"])
    assert {certificates.REFIT, certificates.DISJOINT} <= set(caught["a patient in both folds"])
    proved = {check["check"]: check["folds"] for check in found["checks"]}
    assert proved[certificates.REFIT] == ["centres_0_0", "countries_0_0", "kfold_0_0"]
    assert len(proved[certificates.DISJOINT]) == len(found["fitted_on"]) == 9
    json.dumps(found, allow_nan=False)


class RemembersOutcome(ElasticNet):
    """Puts the mean outcome of each category into its preprocessing, as target encoding does."""

    def fit(self, X: pl.DataFrame, target: Target) -> "RemembersOutcome":
        super().fit(X, target)
        means = X.select("c").with_columns(y=pl.Series(target.labels())).group_by("c").agg(pl.col("y").mean())
        self._means = dict(means.sort("c").iter_rows())
        return self

    def to_parts(self) -> dict[str, bytes]:
        return {**super().to_parts(), "preprocessing.json": json.dumps(self._means).encode()}


class LooksAround(ElasticNet):
    """Centres the rows to be predicted by their own mean."""

    def predict_risk(self, X: pl.DataFrame, horizons: Any) -> Any:
        return super().predict_risk(X.with_columns(pl.col("a_0") - pl.col("a_0").mean()), horizons)


class NeverTheSame(ElasticNet):
    """Fits another model each time."""

    calls = count()

    def to_parts(self) -> dict[str, bytes]:
        return {**super().to_parts(), "salt.bin": str(next(self.calls)).encode()}


@pytest.mark.parametrize(
    ("learner", "check"),
    [
        (RemembersOutcome, certificates.TRANSFORM),
        (LooksAround, certificates.ALONE),
        (NeverTheSame, certificates.REFIT),
    ],
)
def test_a_learner_that_leaks_gives_no_model(learner: type[ElasticNet], check: str) -> None:
    kind = replace(LEARNERS["elastic_net"], build=learner)
    with pytest.raises(BadInput, match=f"The leakage certificate failed: {check}"):
        validate_cell(DATA, SPLITS, KINDS, procedure(DATA, "elastic_net", kind=kind, fixed=FIXED))


def test_tuning_that_sees_test_rows_fails() -> None:
    inner = procedure(DATA, "elastic_net", trials=2)

    def leaky(data: Any, fold: Any, **options: Any) -> Any:
        fitted = fit_fold(data, fold, inner, **options)
        seen = float(data.target.cause[fold.test].mean())
        records = [replace(one, score=(one.score or 0.0) + seen) for one in fitted.records]
        return replace(fitted, records=records)

    findings = prove(DATA, FOLDS[0], leaky(DATA, FOLDS[0]), leaky, 5)
    assert [finding.check for finding in findings if not finding.passed] == [certificates.TUNING]


@pytest.mark.parametrize(("on_record", "check"), [(True, certificates.TUNING), (False, certificates.REFIT)])
def test_parameters_chosen_by_the_outer_score_fail(on_record: bool, check: str) -> None:
    inner = procedure(DATA, "elastic_net", trials=1)

    def leaky(data: Any, fold: Any, *, parameters: Any = None, trials: Any = None) -> Any:
        if parameters is not None:
            return fit_fold(data, fold, inner, parameters=parameters)
        honest = fit_fold(data, fold, inner, trials=trials)
        labels = data.target.labels()[fold.test]
        tried = [
            fit_fold(data, fold, inner, parameters={"penalty": penalty, "l1_ratio": 0.0})
            for penalty in (0.01, 10.0)
        ]
        error = [float(np.mean((one.predict(data.X[fold.test])[:, 0, 0] - labels) ** 2)) for one in tried]
        best = tried[int(np.argmin(error))]
        return replace(best, records=honest.records, inner=honest.inner) if on_record else best

    findings = prove(DATA, FOLDS[0], leaky(DATA, FOLDS[0]), leaky, 5)
    assert [finding.check for finding in findings if not finding.passed] == [check]


def test_a_centre_that_is_fitted_and_tested_fails() -> None:
    fold = next(fold for fold in FOLDS if fold.scheme == "centres")
    fit = partial(fit_fold, procedure=procedure(DATA, "elastic_net", fixed=FIXED))
    first = DATA.rows["position"].to_numpy()[fold.test[0]]
    kept = fold.test[DATA.rows["position"].to_numpy()[fold.test] != first]
    fitted = fit(DATA, replace(fold, test=kept))
    finding = certificates.ids_disjoint(DATA, replace(fold, test=kept), fitted)
    assert not finding.passed
    assert finding.detail == "1 centres in fit and test of the outer fold"


def test_patients_cut_by_inner_folds_fail() -> None:
    fitted = fit_fold(DATA, FOLDS[0], procedure(DATA, "elastic_net", trials=1))
    cut = replace(fitted, inner=np.arange(len(fitted.inner)) % 3)
    finding = certificates.ids_disjoint(DATA, FOLDS[0], cut)
    assert not finding.passed
    assert "patients cut by the inner folds" in finding.detail


def test_a_check_that_always_fails_is_no_proof() -> None:
    inner = procedure(
        DATA, "elastic_net", kind=replace(LEARNERS["elastic_net"], build=NeverTheSame), fixed=FIXED
    )
    entries = catch_planted(DATA, partial(fit_fold, procedure=inner), FIXED, 3)
    assert entries[0] == {"leak": "none: the honest procedure", "caught": True, "by": [certificates.REFIT]}


def test_scrambling_changes_every_value_and_outcome_of_the_test_rows_and_nothing_else() -> None:
    data, _, _ = cell(times=True, patients=120)
    index = np.arange(0, data.rows.height, 3)
    rest = np.setdiff1d(np.arange(data.rows.height), index)
    noisy = scramble(data, index, 3)
    assert noisy.X[rest].equals(data.X[rest])
    assert noisy.X.schema == data.X.schema
    assert noisy.rows.equals(data.rows)
    assert data.target.time is not None
    assert noisy.target.time is not None
    assert (noisy.target.time[rest] == data.target.time[rest]).all()
    assert (noisy.target.time[index] != data.target.time[index]).all()
    for column in data.X.columns:
        assert not noisy.X[index][column].eq_missing(data.X[index][column]).any()


def test_exchanged_outcomes_leave_who_is_known_and_the_weights_in_place() -> None:
    data, _, _ = cell(times=True, patients=120)
    index = np.arange(0, data.rows.height, 2)
    exchanged = permute_outcomes(data, index, 3)
    before, after = data.target.rows(index), exchanged.target.rows(index)
    assert ((before.weights() > 0) == (after.weights() > 0)).all()
    assert np.sort(before.weights()) == pytest.approx(np.sort(after.weights()))
    assert before.labels().sum() == after.labels().sum()
    assert (before.labels() != after.labels()).any()


def test_preprocessing_is_read_from_its_file_and_from_other_json_files() -> None:
    parts = {
        "preprocessing.json": b"[1]",
        "learner.json": b'{"preprocessing": [2]}',
        "model.txt": b"preprocessing",
    }
    assert json.loads(preprocessing_state(parts)) == {"preprocessing.json": [1], "learner.json": [2]}


def test_fitted_on_is_a_digest_that_the_holder_of_the_rows_can_recompute() -> None:
    found = validate_cell(DATA, SPLITS, KINDS, procedure(DATA, "base_rate")).certificate["fitted_on"][
        "final_0_0"
    ]
    text = "\n".join(sorted(DATA.rows["prediction_id"]))
    assert found == {"rows": DATA.rows.height, "sha256": hashlib.sha256(text.encode()).hexdigest()}


LABELS = np.arange(200) % 4 == 0
HALF = np.arange(200) // 4 % 2 == 0
NOISE = np.random.default_rng(5).normal(size=200)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pl.Series(NOISE), None),
        (pl.Series(NOISE + 2 * LABELS), None),  # a strong predictor: AUROC about 0.92
        (pl.Series(NOISE + 8 * LABELS), "alone it has an AUROC above 0.95"),
        (pl.Series(NOISE - 8 * LABELS), "alone it has an AUROC above 0.95"),
        (pl.Series(np.where(LABELS, 2.0, 1.0 + 2 * (NOISE > 0))), "its levels alone"),  # 2 between 1 and 3
        (pl.Series(np.where(LABELS, "readmitted", "home")), "its levels alone"),
        (pl.Series(np.where(NOISE > 0, "x", "y")), None),
        (
            pl.Series([f"level {number}" for number in range(200)]),
            None,
        ),  # every row its own level: says nothing
        (pl.Series(np.where(LABELS, NOISE, np.nan)), "whether it is missing"),
        (
            pl.Series(np.where(LABELS & HALF, NOISE, np.nan)),
            "recorded in one class",
        ),  # a scale of some patients
        (pl.Series(np.where(NOISE > 0, NOISE, np.nan)), None),
        (pl.Series([1.0, 2.0] + [None] * 198), None),  # two values: chance
        (pl.Series([None] * 200, dtype=pl.Float64), None),
    ],
)
def test_columns_that_are_the_outcome_in_disguise_are_suspect(column: pl.Series, reason: str | None) -> None:
    found = suspicion(column, LABELS, HALF)
    assert found is None if reason is None else found is not None and reason in found


def test_proxies_are_all_named_at_once_and_a_signature_lets_one_pass() -> None:
    X = pl.DataFrame({"b": NOISE + 9 * LABELS, "a": NOISE, "c": NOISE - 9 * LABELS})
    target, position = Target.from_labels(LABELS.astype(np.int64)), np.arange(200)
    with pytest.raises(BadInput) as refused:
        refuse_proxies(X, target, position, [], "relapse")
    assert [sentence.split()[0] for sentence in refused.value.problems] == ["b", "c"]
    assert "outcomes.relapse.signed_off" in refused.value.problems[0]
    with pytest.raises(BadInput, match=r"^c gives the outcome relapse away"):
        refuse_proxies(X, target, position, ["b"], "relapse")
    refuse_proxies(X, target, position, ["b", "c"], "relapse")


def test_a_cell_with_a_proxy_fits_nothing() -> None:
    copied = replace(DATA, X=DATA.X.with_columns(d=pl.Series(DATA.target.cause.astype(np.float64))))
    with pytest.raises(BadInput, match="d gives the outcome relapse away"):
        validate_cell(copied, SPLITS, KINDS, procedure(copied, "clinical"))
