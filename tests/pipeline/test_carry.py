"""A model made in one place and run in another: the same figures, nothing of a patient, nothing that does not fit."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.bundle.packing import open_bundle, read_files, seal, zipped
from experiments.bundle.strata import open_strata, seal_strata
from experiments.stratification.course_state import COURSE_FILE, FrozenCourse
from features.errors import BadInput
from models.errors import BadTarget
from models.storage import load_learner
from models.strata_model import StrataModel
from pipeline.__main__ import REFUSED, main
from pipeline.carry.definition import definition_of
from pipeline.carry.strata_freeze import strata_files
from pipeline.carry.strata_site import matched_strata, strata_model
from pipeline.commands import assign, freeze, use, validate
from pipeline.files import read_json, remove_folder, write_bytes, write_json
from pipeline.settings.load import load_parameters
from pipeline.settings.stratification import Course, Stratification
from pipeline.stages.train import cell_data
from pipeline.strata_course import course_patients
from pipeline.strata_inputs import feature_patients, read_assembled
from tests.pipeline.carried_study import (
    OUTCOME,
    of_country,
    run_to_outcome,
    run_to_results,
    simulated,
    small_study,
    write_study,
)

ROOT = Path(__file__).parents[2]
MARKERS = ("inflammatory_crp_log", "inflammatory_il6_log", "inflammatory_tnf_alpha_log")
CANARY = "123.4567"  # a patient's CRP, written into the source files of both places


@dataclass(frozen=True)
class Places:
    """Where models were made, a second site that knows nothing of it, and the bundles."""

    home: Path
    site: Path
    bundles: dict[str, Path]
    direct: Path


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    home, site, direct = (tmp_path_factory.mktemp(name) for name in ("home", "site", "direct"))
    mine = small_study("mine", 11, 300)
    simulated(home, mine)
    plant_canary(home / "data" / "mine")
    run_to_results(home)
    bundles = {"trees": home / "trees.zip", "clinical": home / "clinical", "final": home / "final.zip"}
    with contextlib.chdir(home):
        for name, learner, *more in (
            ("trees", "lightgbm", "countries", "DE"),
            ("clinical", "clinical", "countries", "DE"),
            ("final", "lightgbm", "final", None),
        ):
            freeze.run(OUTCOME, learner, scheme=str(more[0]), left_out=more[1], out=bundles[name])
    simulated(site, small_study("elsewhere", 77, 450))
    plant_canary(site / "data" / "elsewhere")
    write_study(site, of_country(small_study("elsewhere", 77, 450), "de"))
    (site / "params.yaml").unlink()
    (direct / "data").mkdir()
    (direct / "data" / "elsewhere").symlink_to(site / "data" / "elsewhere")
    write_study(direct, of_country(small_study("elsewhere", 77, 450), "de"))
    return Places(home, site, bundles, direct)


def plant_canary(source: Path) -> None:
    """Write one remarkable value into the CRP of five German patients: not all of them consent."""
    path = source / "de" / "labor.csv"
    planted, count = re.subn(
        r"(,V0,[^,]+,CRP,)[\d.]+(,mg/L)", rf"\g<1>{CANARY}\g<2>", path.read_text("utf-8-sig"), count=5
    )
    assert count == 5
    path.write_text(planted, encoding="utf-8")


def test_run_elsewhere_figures_are_those_of_the_same_model_and_nothing_of_a_patient_leaves(
    places: Places, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = sorted(path.relative_to(places.site) for path in places.site.rglob("*"))
    said = psystrata(places.site, "validate", str(places.bundles["trees"]), "elsewhere", "--out", str(out))
    assert "aggregated results of lightgbm at elsewhere" in said
    register = places.site / "experiments" / "studies" / "elsewhere" / "openings.jsonl"
    (opening,) = [json.loads(line) for line in register.read_text(encoding="utf-8").splitlines()]
    assert (opening["learner"], opening["left_out"], opening["by"]) == (
        "lightgbm of mine",
        "elsewhere",
        "validate",
    )
    after = sorted(path.relative_to(places.site) for path in places.site.rglob("*"))
    left = [path for path in after if path not in before and "__pycache__" not in path.parts]
    assert {str(path) for path in left if "openings" not in path.name} <= {"artifacts", "artifacts/elsewhere"}

    found = {
        row["metric"]: row["estimate"]
        for row in pl.read_parquet(out / "metrics.parquet")
        .filter((pl.col("learner") == "lightgbm") & pl.col("subgroup").is_null())
        .to_dicts()
    }
    label, weight, risk = directly(places)
    assert found["auroc"] == pytest.approx(pairs_in_order(label, weight, risk), abs=1e-12)
    assert found["brier"] == pytest.approx(weight @ (label - risk) ** 2 / weight.sum(), abs=1e-12)
    assert found["observed_to_expected"] == pytest.approx(weight @ label / (weight @ risk), abs=1e-12)

    report = read_json(out / "report.json")
    assert report["bundle"]["left_out"] == "DE"
    assert report["differences"] == []
    assert {row["worth_a_look"] for row in report["drift"]} <= {True, False}
    assert report["recalibration"][0]["horizon"] == 365
    centres = [row for row in report["by_centre"] if row["subgroup"].startswith("centre: ")]
    assert any(row["estimate"] is None and row["n"] is None for row in centres)
    assert all(row["n"] is None or row["n"] > 10 for row in centres)
    nothing_told(places, out)


def directly(places: Places) -> tuple[Any, Any, Any]:
    """Return label, weight and risk of the second site's patients by the model's own files, outside of any bundle."""
    with contextlib.chdir(places.direct):
        use.run("elsewhere", [])
    work = run_to_outcome(places.direct)
    data = cell_data(
        pl.read_parquet(work / "assembled" / "rows.parquet"),
        pl.read_parquet(work / "assembled" / "matrix.parquet").join(
            pl.read_parquet(work / "assembled" / "context.parquet"), on="prediction_id"
        ),
        pl.read_parquet(work / "outcomes" / OUTCOME / "outcomes.parquet"),
        horizons=(365.0,),
        main=365.0,
        causes=2,
    )
    folder = places.home / "artifacts" / "mine" / "train" / OUTCOME / "lightgbm" / "models"
    folds = read_json(places.home / "artifacts" / "mine" / "splits" / OUTCOME / "folds.json")
    fold = next(item for item in folds if item["group"] == "DE")
    parts = {
        path.name: path.read_bytes() for path in sorted((folder / f"countries_0_{fold['fold']}").iterdir())
    }
    risk = load_learner(parts).predict_risk(data.X, (365.0,))[:, 0, 0]
    return data.target.labels(365.0).astype(float), data.target.weights(365.0), risk


def pairs_in_order(label: Any, weight: Any, risk: Any) -> float:
    """Return the weighted share of pairs of an event and a non-event that the risk puts in order, pair by pair."""
    event, other = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    pair = weight[event][:, None] * weight[other][None, :]
    higher = risk[event][:, None] - risk[other][None, :]
    return float((pair * ((higher > 0) + 0.5 * (higher == 0))).sum() / pair.sum())


def nothing_told(places: Places, out: Path) -> None:
    """No identifier, date or exact value of a patient of either place stands in a bundle or in a result."""
    names, values = set(), set()
    for place, study in ((places.home, "mine"), (places.direct, "elsewhere")):
        assembled = place / "artifacts" / study / "assembled"
        rows = pl.read_parquet(assembled / "rows.parquet")
        names |= {*rows["prediction_id"], *rows["patient_id"]}
        values |= {*pl.read_parquet(assembled / "matrix.parquet")["inflammatory_crp_log"].drop_nulls()}
        names |= set(
            re.findall(
                r"\d{2}\.\d{2}\.\d{4}|\d{4}-\d{2}-\d{2}|\d{2}/\d{2}/\d{4}", sources(place / "data" / study)
            )
        )
    names -= {"2022-12-31"}  # the extract date, which both study files declare
    assert any(value == pytest.approx(np.log(float(CANARY)), abs=1e-6) for value in values)
    assert len(names) > 1000
    told = [content.decode() for path in places.bundles.values() for content in read_files(path).values()]
    told += [path.read_text(encoding="utf-8") for path in (out / "report.html", out / "report.json")]
    tables = [pl.read_parquet(path) for path in sorted(out.glob("*.parquet"))]
    told += [table.write_csv() for table in tables]
    words = {word for text in told for word in re.split(r"[^0-9A-Za-z_./-]+", text)}
    assert not words & names
    assert not words & {str(value) for value in values if len(str(value)) > 5}  # not those such as 0.0
    assert not any(CANARY in text for text in told)
    assert {path.suffix for path in out.iterdir()} == {".parquet", ".json", ".html"}
    assert max(table.height for table in tables) < 400


def sources(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode("latin-1") for path in sorted(folder.rglob("*.csv")))


def test_a_bundle_is_the_same_bytes_again_and_says_which_choices_it_comes_from(
    places: Places, tmp_path: Path
) -> None:
    again = tmp_path / "again.zip"
    with contextlib.chdir(places.home):
        freeze.run(OUTCOME, "lightgbm", scheme="countries", left_out="DE", out=again)
    assert again.read_bytes() == places.bundles["trees"].read_bytes()
    one, other = (opened(places.bundles[name]) for name in ("trees", "final"))
    assert one.manifest.choices == other.manifest.choices
    assert one.manifest.model != other.manifest.model
    assert (one.manifest.left_out, other.manifest.left_out) == ("DE", None)
    assert 100 < (one.reference.patients or 0) < (other.reference.patients or 0)
    assert "beeswarm" not in read_files(places.bundles["final"])["card.html"].decode()


def opened(path: Path) -> Any:
    return open_bundle(read_files(path), str(path))


def test_a_missing_modality_two_countries_and_an_accepted_difference(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small_study("both", 77, 450)
    study["feature_sets"] = {"clinical": study["feature_sets"]["clinical"]}
    study["outcomes"] = {"relapse": {**study["outcomes"][OUTCOME], "washout_days": 30}}
    study["cells"] = [{**study["cells"][0], "outcome": "relapse"}]
    study["primary"] = {**study["primary"], "outcome": "relapse"}
    write_study(tmp_path, study)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "both").symlink_to(places.site / "data" / "elsewhere")
    with contextlib.chdir(tmp_path):
        asked: dict[str, Any] = {
            "bundle": places.bundles["trees"],
            "study": "both",
            "fingerprint": None,
            "out": Path("out"),
        }
        with pytest.raises(BadInput, match="both declares no outcome 'relapse_1y'; known: relapse"):
            validate.run(**asked, outcome=None, accept_differences=False)
        with pytest.raises(BadInput, match=r"outcome\.washout_days: 0\.0 in the bundle, 30\.0 here"):
            validate.run(**asked, outcome="relapse", accept_differences=False)
        assert not Path("artifacts").exists()
        validate.run(**asked, outcome="relapse", accept_differences=True)
        report = read_json(Path("out/report.json"))
        metrics = pl.read_parquet("out/metrics.parquet")
        assert not list(Path("artifacts").rglob("*.parquet"))
        assert not Path("params.yaml").exists()
    assert report["differences"] == ["outcome.washout_days: 0.0 in the bundle, 30.0 here"]
    assert "inflammatory_crp_log" in report["columns_missing_here"]
    assert sorted(metrics["group"].unique()) == ["DE", "FR"]
    aurocs = metrics.filter((pl.col("metric") == "auroc") & (pl.col("learner") == "lightgbm"))["estimate"]
    assert max(aurocs.drop_nulls().to_list()) > 0.5
    assert "bundle: first relapse; death is a competing event" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("unit", "elsewhere: dictionary.gaf.unit is not declared in the bundle and points here"),
        (
            "variable",
            "clinical_madrs cannot be built here (dictionary has no madrs), and the model was not made",
        ),
        ("set", "feature_sets.clinical.look_behind_days is not declared in the bundle and 90.0 here"),
        ("horizon", "no horizon in common: the bundle predicts at 365.0 days, this outcome has 90.0"),
        ("changed", "was changed since the model was frozen"),
        ("fingerprint", "not the one that was told"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_written(
    spoil: str, said: str, places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = of_country(small_study("elsewhere", 77, 450), "de")
    if spoil == "unit":
        study["dictionary"]["gaf"] = {**study["dictionary"]["gaf"], "unit": "points"}
    elif spoil == "variable":
        del study["dictionary"]["madrs"]
        for source in study["cohort"]["sources"]:
            source.get("variables", {}).pop("madrs", None)
            source["ignore"] = [*source.get("ignore", ()), "madrs", "MADRS"]
    elif spoil == "set":
        study["feature_sets"]["clinical"] = {"look_behind_days": 90.0}
    elif spoil == "horizon":
        study["outcomes"][OUTCOME] = {**study["outcomes"][OUTCOME], "horizon_days": 90}
    write_study(tmp_path, study)
    bundle = tmp_path / "bundle"
    for name, content in read_files(places.bundles["clinical"]).items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_bytes(content + b" " * (spoil == "changed" and name == "card.html"))
    told = ["--fingerprint", "0" * 64] if spoil == "fingerprint" else []
    with contextlib.chdir(tmp_path):
        assert main(["validate", "bundle", "elsewhere", "--out", "out", *told]) == REFUSED
    printed = capsys.readouterr().err
    assert said in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "experiments"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"learner": "xgboost"},
            "relapse_1y is not predicted with 'xgboost'; known: base_rate, clinical, lightgbm",
        ),
        ({"outcome": "relaps"}, "No cell predicts 'relaps'; known: relapse_1y"),
        ({"scheme": "countries", "left_out": "IT"}, "--left-out IT: countries left out 'DE', 'FR'"),
        (
            {"scheme": "random"},
            "--scheme random: only a model that left out a place is frozen; known: final, countries",
        ),
        ({"left_out": "DE"}, "--left-out needs --scheme"),
    ],
)
def test_freezing_what_is_not_there_is_answered_with_what_is(
    asked: dict[str, str], said: str, places: Places, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"outcome": OUTCOME, "learner": "clinical", "scheme": "final", "left_out": None}
    with contextlib.chdir(places.home), pytest.raises(BadInput, match=re.escape(said)):
        freeze.run(**{**given, **asked}, out=tmp_path / "bundle.zip")
    assert not list(tmp_path.iterdir())


def test_a_model_changed_after_training_and_a_folder_of_other_files_are_refused(
    places: Places, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"outcome": OUTCOME, "learner": "clinical", "scheme": "final", "left_out": None}
    with (
        contextlib.chdir(places.home),
        spoilt(Path("artifacts/mine/train") / OUTCOME / "clinical/final/model_0.json"),
    ):
        with pytest.raises(BadInput, match="was changed after its training"):
            freeze.run(**given, out=tmp_path / "bundle.zip")
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(BadInput, match="holds other files"):
            freeze.run(**given, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@contextlib.contextmanager
def spoilt(path: Path) -> Iterator[None]:
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    try:
        yield
    finally:
        path.write_bytes(content)


def psystrata(place: Path, *arguments: str) -> str:
    """Run a command in a process of its own, which has seen nothing but that place."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learner.json": b"[" * 200_000}, "not JSON"),
        (
            {"model_0.json": b'{"coefficients": [], "intercept": 0.5}'},
            "The model in the bundle cannot be run",
        ),
    ],
)
def test_a_model_that_was_made_to_fail_is_one_sentence_and_no_row_is_left(
    changed: dict[str, bytes], said: str, places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = read_files(places.bundles["clinical"])
    head = json.loads(files.pop("manifest.json"))
    sealed = seal(
        {**files, **{f"model/{name}": content for name, content in changed.items()}},
        {key: value for key, value in head.items() if key not in ("format", "version", "files", "seal")},
    )
    for path, content in sealed.items():
        (tmp_path / "bundle" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundle" / path).write_bytes(content)
    write_study(tmp_path, of_country(small_study("elsewhere", 77, 450), "de"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "elsewhere").symlink_to(places.site / "data" / "elsewhere")
    with contextlib.chdir(tmp_path):
        assert main(["validate", "bundle", "elsewhere", "--out", "out"]) == REFUSED
    printed = capsys.readouterr().err
    assert said in printed
    assert len(printed.splitlines()) == 1
    assert not list((tmp_path / "artifacts").rglob("*.parquet"))
    assert not (tmp_path / "out").exists()


def test_the_day_that_a_study_was_cut_at_is_no_patients_date(places: Places) -> None:
    bundle = opened(places.bundles["clinical"])
    figure = bundle.reference.figures[0]
    groups = ("2020-05-01", "2020-05-17", "DE", "01/05/2020", None)
    figures = tuple(figure.model_copy(update={"group": group}) for group in groups)
    reference = bundle.reference.model_copy(update={"figures": figures})
    assert validate.cut_days(replace(bundle, reference=reference)) == {"2020-05-01"}


@pytest.fixture(scope="module")
def frozen_strata(places: Places) -> Path:
    """Freeze two strata of the first place's patients by four markers; returns the bundle."""
    asked = Stratification(
        index="baseline", feature_sets=("inflammatory",), columns=MARKERS, clusterer="k_means"
    )
    with contextlib.chdir(places.home):
        study = load_parameters().model_copy(update={"stratifications": {"blood": asked}})
        work = Path("artifacts/mine")
        patients = feature_patients(study, "blood", read_assembled(work / "assembled"))
        model = StrataModel.fit(patients.X, patients.recipe, 2, 1)
        for name, content in model.to_parts().items():
            write_bytes(content, work / "strata/blood/model" / name)
        said = {"claim": "2 strata, not stable", "claimed": False, "tests": []}
        for stage in ("strata", "strata_outcomes"):
            write_json(said, work / stage / "blood/summary.json")
        files = strata_files(study, "blood", work, None)
        assert strata_files(study, "blood", work, None) == files
        with pytest.raises(BadInput, match="no such stratification; known: blood"):
            strata_files(study, "gut", work, None)
        with pytest.raises(BadInput, match="Name an outcome and a learner, or a stratification"):
            freeze.run(None, None, scheme="final", left_out=None, out=Path("x.zip"))
        with pytest.raises(BadInput, match="--strata stands alone"):
            freeze.run(OUTCOME, None, scheme="final", left_out=None, out=Path("x.zip"), strata="blood")
        write_bytes(zipped(files), Path("blood.zip"))
    return places.home / "blood.zip"


def test_frozen_strata_assign_another_sites_patients_and_tell_aggregates_alone(
    places: Places, frozen_strata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {
        "study": "elsewhere",
        "index": "baseline",
        "accept_differences": False,
        "out": tmp_path / "out",
    }
    with contextlib.chdir(places.site):
        with pytest.raises(BadInput, match="not the one that was told"):
            assign.run(bundle=frozen_strata, fingerprint="0" * 64, **asked)
        with pytest.raises(BadInput, match="is a psystrata bundle: psystrata validate reads it"):
            assign.run(bundle=places.bundles["clinical"], fingerprint=None, **asked)
        with pytest.raises(BadInput, match="is a psystrata bundle of strata: psystrata assign reads it"):
            opened(frozen_strata)
        assert not (tmp_path / "out").exists()
        assign.run(bundle=frozen_strata, fingerprint=None, **asked)
        kept = list(Path("artifacts/elsewhere").rglob("*.parquet"))
        assert sorted(path.name for path in kept) == ["memberships.parquet", "patients.parquet"]
        patients = pl.read_parquet(next(path for path in kept if path.name == "patients.parquet"))
        remove_folder(Path("artifacts/elsewhere/assigned"))
    assert "row-level and stays at this site" in capsys.readouterr().out

    table = pl.read_parquet(tmp_path / "out" / "strata.parquet")
    assert table["n"].to_list() == [patients.height, *np.bincount(patients["stratum"])[1:]]
    assert table["certain"][0] == pytest.approx((patients["probability"] >= 0.8).mean())
    assert table["share_reference"].to_list()[0] == 1
    report = read_json(tmp_path / "out" / "report.json")
    assert report["bundle"]["claimed"] is False
    assert report["outside"] is None or report["outside"] * patients.height > 10
    assert "Not claimed by the study that made them" in (tmp_path / "out" / "report.html").read_text("utf-8")
    told = (
        "".join(path.read_text("utf-8") for path in (tmp_path / "out").glob("report.*")) + table.write_csv()
    )
    assert not {*patients["patient_id"], *patients["prediction_id"]} & set(re.split(r"[^0-9A-Za-z_-]+", told))


@pytest.mark.parametrize("spoil", ["byte", "model", "centroids"])
def test_strata_that_were_changed_or_do_not_fit_are_refused(
    spoil: str, places: Places, frozen_strata: Path, tmp_path: Path
) -> None:
    files = dict(read_files(frozen_strata))
    if spoil == "byte":
        files["reference.json"] += b" "
    else:
        head = json.loads(files.pop("manifest.json"))
        kept = {
            key: value for key, value in head.items() if key not in ("format", "version", "files", "seal")
        }
        if spoil == "model":
            files["model/strata.json"] = b"[" * 100_000
        else:
            reference = json.loads(files["reference.json"])
            reference["extent"]["centroids"] = [[0.0]]
            files["reference.json"] = json.dumps(reference).encode()
        files = seal_strata(files, kept)
    write_bytes(zipped(files), tmp_path / "spoilt.zip")
    said = {
        "byte": "was changed since",
        "model": "damaged|cannot be run",
        "centroids": "does not fit its model",
    }
    with contextlib.chdir(places.site), pytest.raises((BadInput, BadTarget), match=said[spoil]):
        assign.run(
            bundle=tmp_path / "spoilt.zip", study="elsewhere", index="baseline", fingerprint=None,
            accept_differences=False, out=tmp_path / "out",
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["spoilt.zip"]
    assert not list((places.site / "artifacts").rglob("*.parquet"))


@pytest.fixture(scope="module")
def frozen_courses(places: Places) -> Path:
    """Freeze two strata of the first place's patients by the course of two scores; returns the bundle."""
    asked = Stratification(index="baseline", course=Course(variables=("madrs", "gaf"), years=3.5))
    with contextlib.chdir(places.home):
        study = load_parameters().model_copy(update={"stratifications": {"change": asked}})
        work = Path("artifacts/mine")
        patients, source, _ = course_patients(
            study, "change", read_assembled(work / "assembled"), work / "tables"
        )
        model = StrataModel.fit(patients.X, patients.recipe, 2, 1)
        frozen = FrozenCourse(source.plan, (), source.columns, source.latest)
        for name, content in {**model.to_parts(), COURSE_FILE: frozen.to_bytes()}.items():
            write_bytes(content, work / "strata/change/model" / name)
        for stage in ("strata", "strata_outcomes"):
            write_json(
                {"claim": "2 strata, not stable", "claimed": False, "tests": []},
                work / stage / "change/summary.json",
            )
        files = strata_files(study, "change", work, None)
        assert not any(
            name.encode() in content for content in files.values() for name in patients.rows["patient_id"]
        )
        undeclared = study.model_copy(
            update={
                "dictionary": {key: value for key, value in study.dictionary.items() if key != "gaf"},
                "cohort": study.cohort.model_copy(update={"sources": ()}),
            }
        )
        with pytest.raises(BadInput, match="gaf is not declared in dictionary"):
            strata_files(undeclared, "change", work, None)
        write_bytes(zipped(files), Path("change.zip"))
    return places.home / "change.zip"


def test_frozen_courses_assign_another_sites_patients_by_their_visits(
    places: Places, frozen_courses: Path, tmp_path: Path
) -> None:
    with contextlib.chdir(places.site):
        assign.run(
            bundle=frozen_courses, study="elsewhere", index="baseline", fingerprint=None,
            accept_differences=False, out=tmp_path / "out",
        )  # fmt: skip
        kept = {path.name: pl.read_parquet(path) for path in Path("artifacts/elsewhere").rglob("*.parquet")}
        remove_folder(Path("artifacts/elsewhere/assigned"))
    assert sorted(kept) == ["courses.parquet", "memberships.parquet", "patients.parquet"]
    patients, courses = kept["patients.parquet"], kept["courses.parquet"]
    assert set(courses["patient_id"]) == set(patients["patient_id"])
    assert (courses["values"] >= 2).all()
    report = read_json(tmp_path / "out" / "report.json")
    assert "patients do not have 2 values of every variable" in report["course"]["counted_out"][0]
    assert set(report["course"]["reliability"]) == {row["column"] for row in report["drift"]}
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "they look ahead of the baseline" in page
    table = pl.read_parquet(tmp_path / "out" / "strata.parquet")
    assert table["n"][0] == patients.height
    assert not set(courses["patient_id"]) & set(re.split(r"[^0-9A-Za-z_-]+", page))


@pytest.mark.parametrize("spoil", ["course", "other", "absent", "variable", "unit"])
def test_courses_that_do_not_fit_are_refused(spoil: str, places: Places, frozen_courses: Path) -> None:
    bundle = open_strata(read_files(frozen_courses), "change.zip")
    parts = dict(bundle.parts)
    with contextlib.chdir(places.home):
        study = load_parameters()
    site = definition_of(study, None, None, among=(), index="baseline")
    if spoil in {"course", "other", "absent"}:
        course = json.loads(parts.pop(COURSE_FILE))
        if spoil == "course":
            parts[COURSE_FILE] = b"[" * 100_000
        if spoil == "other":
            course["plan"]["variables"] = course["columns"]["variables"] = ["madrs", "panss_total"]
            parts[COURSE_FILE] = json.dumps(course).encode()
        with pytest.raises((BadInput, BadTarget), match=r"damaged|cannot be run"):
            strata_model(replace(bundle, parts=parts))
        return
    here = dict(site.variables)
    gaf = here.pop("gaf")
    if spoil == "unit":
        here["gaf"] = gaf.model_copy(update={"unit": "percent"})
    said = {"variable": "dictionary has no gaf", "unit": "dictionary.gaf.unit is"}[spoil]
    match = matched_strata(bundle, site.model_copy(update={"variables": here}))
    assert any(said in problem for problem in match.problems)
    assert not matched_strata(bundle, site).problems
