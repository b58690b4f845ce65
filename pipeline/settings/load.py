"""Reading a study file and params.yaml: strict YAML, plain sentences, and the parameters that DVC reads."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from features.catalogue import Conversion, catalogue
from features.contract import GIVEN_BY_STAGE
from features.errors import BadInput
from features.registry import FEATURE_SETS
from models.registry import LEARNERS
from pipeline.errors import BadSettings
from pipeline.settings.adjustment import adjustment_problems
from pipeline.settings.cohort import Variable
from pipeline.settings.experiment import CellSettings, LearnerSettings
from pipeline.settings.known_keys import explained
from pipeline.settings.plain_yaml import dump_yaml, parse_yaml, read_yaml
from pipeline.settings.study import Study
from pipeline.simulation.dials import read_dials

SHOULD_BE = "Input should be "  # pydantic's beginning
NO_SOURCE = "features/contract.py"  # DVC needs a path: one that these stages depend on anyway
DERIVED = (
    "cells",
    "feature_set_names",
    "feature_stages",
    "genotypes",
    "simulate",
)  # written by `parameters`, not in a study file


def check_study(values: Mapping[str, Any], path: Path) -> Study:
    """Build the typed settings from a mapping; every problem is reported at once with its key."""
    try:
        study = Study.model_validate(values)
    except ValidationError as problem:
        raise BadSettings(*_sentences(path, problem)) from None
    problems = [
        *_feature_set_problems(study),
        *_learner_problems(study),
        *adjustment_problems(study),
        *_dial_problems(study),
        *_dictionary_problems(study),
    ]
    if problems:
        raise BadSettings(*[f"{path}: {problem}" for problem in problems])
    return study


def load_study(folder: Path) -> Study:
    """Read experiments/studies/<name>/study.yaml; the folder's name and the study's must agree."""
    path = folder / "study.yaml"
    study = check_study(read_yaml(path), path)
    if study.study != folder.name:
        raise BadSettings(
            f"{path}: study: {study.study!r}, but the folder is called {folder.name!r}. Make them equal."
        )
    return study


def parameters(study: Study) -> dict[str, Any]:
    """Return the whole study as the mapping that params.yaml holds, with what DVC's templates need derived from it."""
    values = study.model_dump(mode="json", by_alias=True)
    # The two long sections are texts: DVC parses this file once for each stage, and a text is one value.
    brief = study.model_dump(mode="json", by_alias=True, exclude_defaults=True, include={"cohort"})
    # What the study declares, a default too: the rest may come from the catalogue.
    declared = study.model_dump(mode="json", exclude_unset=True, include={"dictionary"})
    values["cohort"] = {
        "time": study.cohort.time,
        "extract_date": values["cohort"]["extract_date"],
        "mapping": dump_yaml(brief["cohort"]),
    }
    values["dictionary"] = dump_yaml(declared.get("dictionary", {}))
    values["cells"] = {
        f"{study.study}_{cell.outcome}_{learner}": {
            "outcome": cell.outcome,
            "learner": learner,
            "schemes": list(cell.schemes),
            **_adjustment(study, learner),
        }
        for cell in study.cells
        for learner in cell.learners
    }
    values["feature_set_names"] = sorted(study.feature_sets)
    values["feature_stages"] = {
        f"{study.study}_{name}": {
            "set": name,
            "source": _read_by(study.study, name, settings),
        }
        for name, settings in study.feature_sets.items()
    }
    values["genotypes"] = {
        "settings": study.feature_sets.get("genetic", {}),
        "source": f"data/{study.study}" if "genetic" in study.feature_sets else NO_SOURCE,
    }
    values["simulate"] = {} if study.simulation is None else {study.study: values["simulation"]}
    return values


def _read_by(study: str, name: str, settings: Mapping[str, Any]) -> str:
    """Return what a feature set reads beside the canonical tables."""
    if FEATURE_SETS[name].reads_genotypes:
        return f"artifacts/{study}/genotypes"
    return f"data/{study}" if FEATURE_SETS[name].reads(settings) else NO_SOURCE


def _adjustment(study: Study, learner: str) -> dict[str, Any]:
    """Return a cell's own adjustment: DVC then trains again what its edit concerns, and no other cell."""
    name = study.learners[learner].adjustment
    return {} if name is None else {"adjustment": study.adjustments[name].model_dump(mode="json")}


def load_parameters(path: Path = Path("params.yaml")) -> Study:
    """Read params.yaml back into typed settings."""
    values = {key: value for key, value in read_yaml(path).items() if key not in DERIVED[1:]}
    cells = values.get("cells")
    if not isinstance(cells, dict):
        raise BadSettings(f"{path} has no cells: it is written by psystrata use <study>. Run that.")
    values["cohort"] = _cohort(values.get("cohort"), path)
    values["dictionary"] = parse_yaml(str(values.get("dictionary", "")), f"{path}, dictionary")
    grouped: dict[str, dict[str, Any]] = {}
    for cell in cells.values():
        entry = grouped.setdefault(
            cell["outcome"], {"outcome": cell["outcome"], "learners": [], "schemes": cell["schemes"]}
        )
        entry["learners"].append(cell["learner"])
    return check_study({**values, "cells": list(grouped.values())}, path)


def _cohort(section: Any, path: Path) -> dict[str, Any]:
    """Return the cohort's mapping from its text; what stands beside it for DVC must say the same."""
    if not isinstance(section, dict) or not isinstance(section.get("mapping"), str):
        raise BadSettings(f"{path} has no cohort.mapping: it is written by psystrata use <study>. Run that.")
    mapping = parse_yaml(section["mapping"], f"{path}, cohort.mapping")
    if any(section.get(key) != mapping.get(key, section.get(key)) for key in ("time", "extract_date")):
        raise BadSettings(
            f"{path}: cohort.time or cohort.extract_date is not the mapping's. Run psystrata use again."
        )
    return mapping


def _sentences(path: Path, problem: ValidationError) -> list[str]:
    """Return one sentence per faulty key: what its several forms would each ask for stands in it together."""
    faults: dict[str, list[str]] = {}
    for error in problem.errors():
        place, message = explained(
            Study, error["loc"], str(error["msg"]).removeprefix("Value error, "), error["type"]
        )
        faults.setdefault(place, []).append(message.replace("a valid tuple", "a list"))
    return [
        f"{path}: {place or 'the file'}: {_together(messages)}. Mend that key."
        for place, messages in faults.items()
    ]


def _together(messages: Sequence[str]) -> str:
    """Join pydantic's words for the forms of one key; other faults of one place stand after each other."""
    if len(messages) > 1 and all(message.startswith(SHOULD_BE) for message in messages):
        return SHOULD_BE + ", or ".join(message.removeprefix(SHOULD_BE) for message in messages)
    return "; ".join(messages)


def _feature_set_problems(study: Study) -> list[str]:
    problems = []
    for name, values in study.feature_sets.items():
        if name not in FEATURE_SETS:
            problems.append(f"feature_sets: {name!r} is not known; known: {', '.join(sorted(FEATURE_SETS))}")
            continue
        accepted = {
            key
            for key, parameter in signature(FEATURE_SETS[name].build).parameters.items()
            if parameter.kind is Parameter.KEYWORD_ONLY and key not in GIVEN_BY_STAGE
        }
        required = {
            key
            for key, parameter in signature(FEATURE_SETS[name].build).parameters.items()
            if key in accepted and parameter.default is Parameter.empty
        }
        problems += [
            f"feature_sets.{name}.{key} is not a setting of this set; known: {', '.join(sorted(accepted))}"
            for key in sorted(set(values) - accepted)
        ]
        problems += [f"feature_sets.{name}.{key} is required" for key in sorted(required - set(values))]
        problems += _settings_problems(name, values) if required <= set(values) <= accepted else []
    return problems


def _settings_problems(name: str, values: Mapping[str, Any]) -> list[str]:
    check = FEATURE_SETS[name].check
    try:
        if check is not None:
            check(values)
    except BadInput as bad:
        return [f"feature_sets.{problem}" for problem in bad.problems]
    return []


def _dictionary_problems(study: Study) -> list[str]:
    problems = []
    for name, variable in study.dictionary.items():
        if variable.range is not None and variable.range[0] >= variable.range[1]:
            problems.append(f"dictionary.{name}.range: the lower end must be below the upper one")
        problems += [
            f"dictionary.{name}.conversions.{unit}: a factor must be above 0"
            for unit, given in variable.conversions.items()
            if not isinstance(given, Conversion) and given <= 0
        ]
        problems += _unit_problems(name, variable)
    return problems


def _unit_problems(name: str, variable: Variable) -> list[str]:
    """Feature sets compute in the catalogue's units: a variable of its name in another unit would be read wrongly."""
    entry = catalogue().get(name)
    if (
        entry is None
        or variable.unit is None
        or variable.kind != entry.kind
        or entry.same_quantity(variable.unit)
    ):
        return []
    return [
        f"dictionary.{name}.unit is {variable.unit!r}, but feature sets compute {name} in {entry.unit!r}, the catalogue's "
        f"unit. Leave it out, and declare {variable.unit!r} as the unit of the source's variable: intake converts it"
    ]


def _dial_problems(study: Study) -> list[str]:
    if study.simulation is None:
        return []
    try:
        read_dials(study.simulation)
    except BadSettings as problem:
        return list(problem.problems)
    return []


def _learner_problems(study: Study) -> list[str]:
    problems = [
        f"learners.{name}: {item.kind or name!r} is not a known kind; known: {', '.join(sorted(LEARNERS))}"
        for name, item in study.learners.items()
        if (item.kind or name) not in LEARNERS
    ]
    problems += [
        problem for name, item in study.learners.items() for problem in _monotone_problems(name, item)
    ]
    problems += [problem for cell in study.cells for problem in _target_problems(study, cell)]
    return problems


def _target_problems(study: Study, cell: CellSettings) -> list[str]:
    needed = "time" if study.outcomes[cell.outcome].horizons else "label"
    kinds = {name: study.learners[name].kind or name for name in cell.learners}
    able = ", ".join(sorted(name for name, kind in LEARNERS.items() if needed in kind.targets))
    found = "times to event" if needed == "time" else "a label without times"
    return [
        f"cells of {cell.outcome}: the learner {name} cannot learn from {found}; take one of the kinds {able}"
        for name, kind in kinds.items()
        if kind in LEARNERS and needed not in LEARNERS[kind].targets
    ]


def _monotone_problems(name: str, item: LearnerSettings) -> list[str]:
    kind = LEARNERS.get(item.kind or name)
    if not item.monotone or kind is None:
        return []
    problems = []
    if "monotone" in item.parameters:
        problems.append(f"learners.{name}.parameters.monotone: give it as learners.{name}.monotone")
    if not kind.monotone:
        able = ", ".join(sorted(key for key, known in LEARNERS.items() if known.monotone))
        problems.append(
            f"learners.{name}.monotone: the kind {item.kind or name} keeps no constraints; drop them, or take {able}"
        )
    if item.predictors is not None:
        problems += [
            f"learners.{name}.monotone.{column}: not among its predictors; known: {', '.join(sorted(item.predictors))}"
            for column in sorted(set(item.monotone) - set(item.predictors))
        ]
    return problems
