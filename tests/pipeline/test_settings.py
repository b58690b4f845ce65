"""The study files and params.yaml: typed, complete, and refused with the key where they are wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.compute import Compute, Slurm
from pipeline.commands.use import parameters_text
from pipeline.errors import BadSettings
from pipeline.settings.compute import compute_of
from pipeline.settings.load import check_study, load_parameters, load_study, parameters
from tests.workplace import ROOT, demo_study

STUDIES = sorted(path.parent for path in (ROOT / "experiments" / "studies").glob("*/study.yaml"))


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_every_study_of_the_project_is_valid_and_comes_back_from_its_parameters(
    folder: Path, tmp_path: Path
) -> None:
    study = load_study(folder)
    path = tmp_path / "params.yaml"
    path.write_text(parameters_text(study), encoding="utf-8")
    assert load_parameters(path).model_dump(mode="json") == study.model_dump(mode="json")


def test_the_parameters_name_each_cell_by_study_outcome_and_learner() -> None:
    study = check_study(demo_study("demo"), Path("study.yaml"))
    for name, cell in parameters(study)["cells"].items():
        assert name == f"demo_{cell['outcome']}_{cell['learner']}"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("titel",), "x", "titel: this key is not known"),
        (
            ("outcomes", "relapse_1y", "horizon_dayz"),
            365,
            "outcomes.relapse_1y.horizon_dayz: this key is not known (did you mean horizon_days?)",
        ),
        (("validation", "random", "fold"), 3, "known: folds, kind, repeats"),
        (
            ("cohort", "sources", 0, "colums"),
            {},
            "cohort.sources.0.colums: this key is not known (did you mean columns?)",
        ),
        (("outcomes", "relapse_1y", "estimand"), None, "outcomes.relapse_1y"),
        (("outcomes", "relapse_1y", "index"), "nosuch", "'nosuch' is not known; known: "),
        (("learners", "forest"), {}, "learners.forest: 'forest' is not a known kind; known: base_rate"),
        (("feature_sets", "imaging"), {}, "feature_sets: 'imaging' is not known; known: clinical"),
        (
            ("feature_sets", "inflammatory"),
            {"windoww": 1},
            "feature_sets.inflammatory.windoww is not a setting",
        ),
        (("primary", "learner"), "nosuch", "primary.learner: 'nosuch' is not known"),
        (("disclosure",), {"level": "restricted", "smallest_cell": 5}, "disclosure.smallest_cell"),
        (("seed",), float("nan"), "seed"),
        (("study",), "Démo", "study"),
        (("compute",), {"engine": "spark"}, "compute.engine"),
        (("compute",), {"scheduler": "tcp://node:8786"}, "compute: scheduler needs engine: dask"),
        (
            ("compute",),
            {"engine": "dask", "slurm": {"cores": 8, "memory": "16 gigabytes", "walltime": "04:00:00"}},
            "compute.slurm.memory",
        ),
        (
            ("compute",),
            {"engine": "dask", "slurm": {"cores": 8, "memory": "16GB", "walltime": "4:00:00\nrm"}},
            "compute.slurm.walltime",
        ),
        (
            ("learners", "base_rate"),
            {"monotone": {"clinical_age": "increasing"}},
            "learners.base_rate.monotone: the kind base_rate keeps no constraints; drop them, or take clinical",
        ),
        (
            ("learners", "clinical"),
            {"predictors": ["clinical_age"], "monotone": {"clinical_madrs": "increasing"}},
            "learners.clinical.monotone.clinical_madrs: not among its predictors; known: clinical_age",
        ),
        (
            ("learners", "elastic_net"),
            {"monotone": {"clinical_age": "up"}},
            "learners.elastic_net.monotone.clinical_age",
        ),
        (
            ("adjustments",),
            {"centres": {"harmonise": "chose"}},
            "adjustments.centres.harmonise: Input should be 'none', 'centring', 'combat' or 'random_intercept', or "
            "'choose', or a list. Mend that key.",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(place: tuple[str, ...], value: Any, said: str) -> None:
    study = demo_study("demo")
    target = study
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(BadSettings) as refused:
        check_study(study, Path("study.yaml"))
    assert any(said in problem and problem.startswith("study.yaml: ") for problem in refused.value.problems)


def test_every_problem_is_reported_at_once() -> None:
    study = demo_study("demo", titel="x", seeed=1)
    with pytest.raises(BadSettings) as refused:
        check_study(study, Path("study.yaml"))
    assert len(refused.value.problems) == 2


def test_one_setting_says_where_work_runs() -> None:
    slurm = {
        "queue": "long",
        "cores": 8,
        "memory": "16GB",
        "walltime": "04:00:00",
        "job_extra": ["--qos=high"],
    }
    asked = demo_study("demo", compute={"engine": "dask", "workers": 32, "slurm": slurm})
    found = compute_of(check_study(asked, Path("study.yaml")))
    assert (found.engine, found.workers, found.folder) == ("dask", 32, Path("artifacts/demo/tmp"))
    assert found.slurm == Slurm("long", 8, "16GB", "04:00:00", job_extra=("--qos=high",))
    assert compute_of(check_study(demo_study("demo"), Path("study.yaml"))) == Compute(
        "processes", 2, folder=Path("artifacts/demo/tmp")
    )


def test_a_learner_of_times_is_not_paired_with_a_label() -> None:
    folder = ROOT / "experiments" / "studies" / "cnp"
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    study["learners"]["hazard"] = {"kind": "cox"}
    cell = study["cells"][0]
    cell["learners"] = [*cell["learners"], "hazard"]
    with pytest.raises(
        BadSettings, match="the learner hazard cannot learn from a label without times; take"
    ) as said:
        check_study(study, folder / "study.yaml")
    assert f"cells of {cell['outcome']}: " in str(said.value)


def test_constraints_reach_the_learner_beside_its_fixed_parameters() -> None:
    changes: dict[str, Any] = {"parameters": {"penalty": 0.1}, "monotone": {"clinical_age": "increasing"}}
    values = demo_study("demo")
    values["learners"]["elastic_net"] = changes
    learners = check_study(values, Path("study.yaml")).learners
    assert learners["elastic_net"].fixed == {**changes["parameters"], "monotone": changes["monotone"]}
    assert learners["lightgbm"].fixed == learners["lightgbm"].parameters


def test_a_set_depends_on_source_files_only_where_its_settings_name_one() -> None:
    values = demo_study("demo")
    for bridge in (None, {"file": "pools.csv"}):
        values["feature_sets"]["inflammatory"] = {"bridge": bridge} if bridge else {}
        stages = parameters(check_study(values, Path("study.yaml")))["feature_stages"].values()
        reading = {stage["set"] for stage in stages if stage["source"] == "data/demo"}
        checked = {stage["set"] for stage in stages if stage["source"] == "artifacts/demo/genotypes"}
        assert (reading, checked) == ({"inflammatory"} if bridge else set(), {"genetic"})
