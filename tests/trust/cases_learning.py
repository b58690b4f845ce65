"""Bad inputs 101 to 112: learning and prediction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from experiments.bundle.matching import compare_columns
from experiments.bundle.summaries import drift_of, summaries_of
from experiments.disclosure import suppress_counts
from experiments.validation import certificate
from experiments.validation.nested import outer_folds
from experiments.validation.procedure import fit_fold
from experiments.validation.proxies import refuse_proxies
from experiments.validation.splits import SplitScheme, make_splits
from models.adjustment.adjustment import Adjustment
from models.adjustment.plan import AdjustmentPlan
from models.registry import LEARNERS
from models.storage import load_learner
from models.target import Target
from pipeline.settings.load import load_parameters, load_study
from tests.experiments.small_bundle import definition
from tests.experiments.validation_cohort import cell, frames, procedure
from tests.models.test_storage import DAMAGES, stored
from tests.trust import cases_genotype_quality, cases_genotypes
from tests.trust.bad_input import case, refusal, shown

GERMAN = {"kfold": SplitScheme("stratified_kfold", folds=3)}
STUDY = Path("experiments/studies/cnp/study.yaml")


def _proxy(_: Path) -> None:
    draw = np.random.default_rng(1)
    labels = (draw.random(200) < 0.5).astype(np.int64)
    X = pl.DataFrame({"discharge_code": draw.normal(size=200) + 9 * labels, "crp": draw.normal(size=200)})
    refuse_proxies(X, Target.from_labels(labels), np.arange(200), [], "relapse")


def _patient_in_both(_: Path) -> str:
    data, splits, kinds = cell(patients=120)
    fold = next(fold for fold in outer_folds(data.rows, splits, kinds) if fold.scheme == "kfold")
    position = data.rows["position"].to_numpy()
    patient = next(place for place in position[fold.test] if (position[fold.test] == place).sum() > 1)
    cut = replace(fold, test=np.delete(fold.test, np.flatnonzero(position[fold.test] == patient)[0]))
    fixed = {"penalty": 0.01, "l1_ratio": 0.0}
    finding = certificate.ids_disjoint(
        data, cut, fit_fold(data, cut, procedure(data, "elastic_net", fixed=fixed))
    )
    assert not finding.passed
    assert finding.detail.startswith("1 patients in fit and test")
    return f"Leakage certificate, {finding.check}: {finding.detail}."


def _one_class(_: Path) -> None:
    rows, outcomes = frames()
    german = (rows["country"] == "DE").cast(pl.Int8)
    make_splits(
        {"countries": SplitScheme("leave_country_out")},
        rows,
        outcomes.with_columns(cause=german * outcomes["cause"]),
        7,
    )


def _few_events(_: Path) -> None:
    rows, outcomes = frames()
    first = (rows["position"] < 10) & (rows["number"] == 1)
    make_splits(GERMAN, rows, outcomes.with_columns(cause=first.cast(pl.Int8)), 7)


def _one_patient_site(_folder: Path) -> str:
    rows, outcomes = frames(300)
    tiny = pl.when(pl.col("position") == 3).then(pl.lit("tiny")).otherwise(pl.col("centre")).alias("centre")
    _, folds = make_splits({"centres": SplitScheme("leave_centre_out")}, rows.with_columns(tiny), outcomes, 7)
    group = next(fold["group"] for fold in folds if "tiny" in fold["group"])
    assert group.startswith("centres ")
    return f"(folds.json: left out together as {group!r}; no figure of the site alone)"


def _sites(policy: str) -> Adjustment:
    draw = np.random.default_rng(2)
    X = pl.DataFrame({"crp": draw.normal(size=60), "context_centre": ["a", "b", "c"] * 20})
    return Adjustment.fit(X, AdjustmentPlan(harmonise=("centring",), new_centre=policy), columns=["crp"])


ELSEWHERE = pl.DataFrame({"crp": [1.0, 2.0], "context_centre": ["a", "z"]})


def _unseen_site(_: Path) -> str:
    adjustment = _sites("grand_mean")
    assert adjustment.new_centres(ELSEWHERE) == 1
    assert adjustment.transform(ELSEWHERE)["crp"][1] == 2.0
    return "(1 row of a centre that training did not see: predicted as it stands, and counted)"


def _other_order(_: Path) -> str:
    draw = np.random.default_rng(3)
    X = pl.DataFrame(draw.normal(size=(120, 3)), schema=list("abc"))
    learner = (
        LEARNERS["xgboost"]
        .build({}, predictors=list("abc"), seed=1)
        .fit(X, Target.from_labels((draw.random(120) < 0.5).astype(int)))
    )
    here = learner.predict_risk(X, [0.0])
    np.testing.assert_array_equal(learner.predict_risk(X.select("c", "a", "b"), [0.0]), here)
    return "(columns are found by name: the same risks, bit by bit)"


def _other_kind(_: Path) -> None:
    parts = stored("xgboost")
    load_learner(parts).predict_risk(pl.DataFrame({"a": ["x"], "b": [1.0], "c": [1.0]}), [0.0])


def _more_missing(_: Path) -> str:
    patients = np.arange(400)
    before = pl.DataFrame({"crp": np.random.default_rng(2).normal(10, 2, 400)})
    now = before.with_columns(crp=pl.when(pl.lit(pl.Series(patients < 200))).then(None).otherwise("crp"))
    drift = drift_of(summaries_of(before, patients, 11), summaries_of(now, patients, 11))
    share = drift.filter(figure="missing_share")["difference"][0]
    assert share == 0.5
    return f"drift.csv of psystrata validate: crp, missing_share {share:+.2f}"


def _absent_column(_: Path) -> str:
    ours = definition().columns
    problems, _absent = compare_columns(
        ours, pl.DataFrame({"column": [], "kind": [], "unit": [], "description": []}), frozenset()
    )
    assert len(problems) == len(ours)
    return problems[0]


def _study(old: str, new: str):  # type: ignore[no-untyped-def]
    def ask(folder: Path) -> None:
        (folder / "cnp").mkdir()
        text = STUDY.read_text(encoding="utf-8")
        assert old in text
        (folder / "cnp" / "study.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
        load_study(folder / "cnp")

    return ask


def _tag(folder: Path) -> None:
    (folder / "params.yaml").write_text("study: !!python/name:os.system\n", encoding="utf-8")
    load_parameters(folder / "params.yaml")


def _small_cell(_: Path) -> str:
    counts = pl.DataFrame({"level": ["a", "b", "c"], "n": [40, 30, 4]})
    shown_counts = suppress_counts(counts, counts=["n"], smallest_cell=11)["n"].to_list()
    assert shown_counts == [40, None, None]
    return "(of the cells 40, 30 and a small one, the small one and the next smallest are hidden)"


CASES = (
    case(101, "target proxy", "R pending sign-off", refusal(_proxy, "discharge_code gives the outcome relapse away"),
         deeper="tests/experiments/test_proxies.py"),
    case(102, "duplicate patient across folds", "R", shown("R", _patient_in_both),
         deeper="tests/experiments/test_certificate.py: no model is written"),
    case(103, "one class in a fold", "R/F re-split, stated", refusal(_one_class, "both are needed"), deeper="tests/experiments/test_splits.py"),
    case(104, "fewer than 11 events", "R", refusal(_few_events, "Too few events")),
    case(105, "one-patient site", "pooled or excluded W, never reported", shown("W", _one_patient_site), deeper="tests/experiments/test_splits.py"),
    case(106, "unseen site at prediction", "W + flagged", shown("W", _unseen_site),
         refusal(lambda _: _sites("refuse").transform(ELSEWHERE), "centre", when="new_centre: refuse"),
         why="told and predicted as it stands, unless the study declares that such a centre is refused"),
    case(107, "column order or dtype differs at prediction", "F by name else R", shown("F", _other_order, when="order"),
         refusal(_other_kind, "a", when="kind"), deeper="tests/models/test_contract.py"),
    case(108, "missing share at prediction far from training", "W/R", shown("W", _more_missing),
         shown("R", _absent_column, when="a whole column"), deeper="tests/experiments/test_bundle_matching.py"),
    case(109, "model file tampered, pickle renamed", "R before load",
         refusal(lambda _: load_learner(DAMAGES["model is a pickle"](stored("xgboost"))), "", when="a pickle called .json"),
         refusal(lambda _: load_learner(DAMAGES["model is cut"](stored("lightgbm"))), "", when="cut"), deeper="tests/models/test_storage.py; strata: tests/models/test_strata_state.py"),
    case(110, "settings: unknown key, duplicate key, tag, NaN", "R",
         refusal(_study("seed:", "sed: 1\nseed:"), "this key is not known", when="unknown key"),
         refusal(_study("seed:", "seed: 1\nseed:"), "stands twice", when="duplicate key"),
         refusal(_tag, "could not determine a constructor", when="tag"),
         refusal(_study("seed: 20161206", "seed: .nan"), "seed", when="NaN"), deeper="test_bad_inputs_settings.py, test_bad_inputs_strata.py"),
    case(111, "malformed PLINK or VCF", "R/Q", *cases_genotypes.EXAMPLES, *cases_genotype_quality.EXAMPLES,
         why="always refused: a genotype file is whole or not; samples that are no patient's are counted, and scored for nobody",
         deeper="tests/features/test_genotype_damages.py: sixty kinds of damage, hundreds of damaged bytes; test_genetic_matching.py: strands"),
    case(112, "cell of fewer than 11 after filters", "suppressed, with secondary cells", shown("F", _small_cell),
         deeper="tests/experiments/test_disclosure.py"),
)  # fmt: skip
