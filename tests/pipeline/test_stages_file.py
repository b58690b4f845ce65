"""dvc.yaml and the code agree: every command parses, and every stage depends on all the code it uses."""

import argparse
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from pipeline.__main__ import STAGES

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "features", "models", "experiments")
# The settings' values are parameters of the stages, and files and errors only carry tables and messages: an edit there
# changes no result, so no stage depends on them. Nor does it where dask's workers come from.
CARRIERS = {
    "pipeline.errors",
    "pipeline.files",
    "pipeline.settings",
    "experiments.cluster",
    "features.errors",
    "models.errors",
    *PACKAGES,
}


def stages() -> dict[str, dict[str, Any]]:
    read = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: {**stage, **stage.get("do", {})} for name, stage in read.items()}


def test_every_stage_of_the_command_line_stands_in_the_file() -> None:
    assert sorted(stages()) == sorted(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_the_command_parses(name: str) -> None:
    command = re.sub(r"\$\{[^}]+\}", "x", stages()[name]["cmd"]).split()
    assert command[:3] == [".venv/bin/psystrata", "stage", name]
    module = import_module(f"pipeline.stages.{name}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.configure(parser)
    parsed = vars(parser.parse_args(command[3:]))
    assert all(value is not None for value in parsed.values())


@pytest.mark.parametrize("name", STAGES)
def test_the_stage_depends_on_all_code_it_imports(name: str) -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    seen, queue = set(), [f"pipeline.stages.{name}"]
    while queue:
        module = queue.pop()
        if module in seen or any(
            module == carrier or (carrier.count(".") and module.startswith(carrier + "."))
            for carrier in CARRIERS
        ):
            continue
        seen.add(module)
        queue += graph.find_modules_directly_imported_by(module)
    declared = [path for path in stages()[name]["deps"] if path.split("/")[0] in PACKAGES]
    missing = [
        module
        for module in sorted(seen)
        if not any(
            f"{module.replace('.', '/')}.py" == path or f"{module.replace('.', '/')}/".startswith(f"{path}/")
            for path in declared
        )
        and not (ROOT / module.replace(".", "/") / "__init__.py").is_file()
    ]
    assert missing == [], f"dvc.yaml: {name} uses code that it does not depend on"


@pytest.mark.parametrize("name", STAGES)
def test_code_dependencies_exist(name: str) -> None:
    declared = [path for path in stages()[name]["deps"] if path.split("/")[0] in PACKAGES]
    assert [path for path in declared if not (ROOT / path).exists()] == []
