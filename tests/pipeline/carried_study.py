"""Two sites for the tests of carrying: one where a model is made, one that has its own patients, files and study file."""

import contextlib
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pipeline.commands import use
from pipeline.settings.load import load_parameters
from tests.workplace import demo_study

OUTCOME = "relapse_1y"


def small_study(name: str, seed: int, patients: int, **changes: Any) -> dict[str, Any]:
    """Return a restricted study of two countries with a clinical model and small trees."""
    demo = demo_study(name)
    # The base rate leads, so that the others' cards need no closer examination.
    learners = {
        "base_rate": {},
        "clinical": demo["learners"]["clinical"],
        "lightgbm": {"trials": 1, "adjustment": "places"},
    }
    places = {
        "harmonise": "combat",
        "covariates": ["clinical_age", "clinical_sex"],
        "limits": "censored_normal",
    }
    small = {
        "seed": seed,
        "disclosure": {"level": "restricted"},
        "simulation": {**demo["simulation"], "patients": patients, "variants": 50},
        "feature_sets": {key: demo["feature_sets"][key] for key in ("clinical", "inflammatory")},
        "outcomes": {OUTCOME: demo["outcomes"][OUTCOME]},
        "validation": {"countries": {"kind": "leave_country_out"}},
        "adjustments": {"places": places},
        "learners": learners,
        "cells": [{"outcome": OUTCOME, "learners": list(learners), "schemes": ["countries"]}],
        "primary": {"outcome": OUTCOME, "learner": "base_rate", "scheme": "countries", "metric": "auroc"},
        "tuning": {"inner_folds": 2},
        "stratifications": {},
        "subgroups": ["sex"],
        "compute": {"engine": "serial", "workers": 1},
    }
    return {**demo, **small, **changes}


def of_country(study: dict[str, Any], country: str) -> dict[str, Any]:
    """Return the study with the source files of one country alone."""
    sources = [item for item in study["cohort"]["sources"] if item["name"].startswith(country)]
    return {**study, "cohort": {**study["cohort"], "sources": sources}}


def write_study(place: Path, study: dict[str, Any]) -> Path:
    """Write a study file into a workplace."""
    path: Path = place / "experiments" / "studies" / study["study"] / "study.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def simulated(place: Path, study: dict[str, Any]) -> None:
    """Write the study, make it the active one and simulate its source files."""
    write_study(place, study)
    with contextlib.chdir(place):
        use.run(study["study"], [])
        _stage("simulate").run(out=Path("data") / study["study"], truth=Path("truth"))


def run_to_outcome(place: Path) -> Path:
    """Run the active study's stages up to its assembled tables and outcome; returns its workspace."""
    with contextlib.chdir(place):
        study = load_parameters()
        source, work = Path("data") / study.study, Path("artifacts") / study.study
        times = work / "prediction_times.parquet"
        _stage("tables").run(source=source, out=work / "tables")
        _stage("prediction_times").run(tables=work / "tables", out=times)
        for name in study.feature_sets:
            out = work / "features" / name
            _stage("features").run(name, tables=work / "tables", source=source, times=times, out=out)
        _stage("outcomes").run(OUTCOME, tables=work / "tables", times=times, out=work / "outcomes" / OUTCOME)
        _stage("assemble").run(
            tables=work / "tables", times=times, features=work / "features", out=work / "assembled"
        )
    return place / work


def run_to_results(place: Path) -> Path:
    """Run the active study's stages up to what a card needs; returns its workspace."""
    workspace = run_to_outcome(place)
    with contextlib.chdir(place):
        study = load_parameters()
        work = Path("artifacts") / study.study
        own = {kind: work / kind / OUTCOME for kind in ("outcomes", "splits", "train", "compare", "explain")}
        given = {"assembled": work / "assembled", "splits": own["splits"]}
        _stage("splits").run(
            OUTCOME, assembled=given["assembled"], outcomes=own["outcomes"], out=own["splits"]
        )
        _stage("signals").run(
            OUTCOME,
            **given,
            outcomes=own["outcomes"],
            medications=work / "tables" / "medications.parquet",
            times=work / "prediction_times.parquet",
            out=work / "signals" / OUTCOME,
        )
        for learner in study.cells[0].learners:
            _stage("train").run(
                OUTCOME,
                learner,
                **given,
                outcomes=own["outcomes"],
                journals=work / "journals",
                out=own["train"] / learner,
            )
        _stage("compare").run(
            outcome=OUTCOME, **given, outcomes=own["outcomes"], train=own["train"], out=own["compare"]
        )
        _stage("explain").run(OUTCOME, **given, train=own["train"], out=own["explain"])
    return workspace


def _stage(name: str) -> Any:
    return import_module(f"pipeline.stages.{name}")
