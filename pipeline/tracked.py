"""What the track stage and the commands share: cells from settings, runs from result files, and the replay."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.provenance import provenance_of
from experiments.run_contents import Cell, RunContents, needed_files, run_contents, shown
from experiments.strata_contents import OUTCOME as STRATA
from experiments.strata_contents import needed_strata_files, strata_contents
from experiments.tracking import Logged, replay, store_uri
from pipeline.settings.study import Study


def described(study: Study) -> dict[str, Any]:
    """Return what the runs of a study need of its settings, as JSON: it is kept beside the results."""
    return {
        "study": study.study,
        "title": study.title,
        "public": study.disclosure.level == "public",
        "description": _description(study),
        "cells": [asdict(cell) for cell in cells_of(study)],
        "stratifications": {name: _strata_parameters(study, name) for name in study.stratifications},
    }


def cells_of(study: Study) -> list[Cell]:
    """Return the study's cells, the primary first, then in the order of the study file."""
    cells = [
        _cell(study, cell.outcome, learner, cell.schemes) for cell in study.cells for learner in cell.learners
    ]
    return sorted(cells, key=lambda cell: cell.primary is None)


def read_runs(workspace: Path, description: dict[str, Any], *, partial: bool) -> list[RunContents]:
    """Return the contents of every cell's run.

    Args:
        workspace: folder of the study's result files.
        description: as from `described`.
        partial: leave out cells whose results are not there yet; otherwise they are refused.
    """
    runs = []
    for values in description["cells"]:
        primary = values["primary"]
        cell = Cell(**{**values, "primary": tuple(primary) if primary else None})
        if partial and not all(path.is_file() for path in needed_files(workspace, cell)):
            continue
        runs.append(run_contents(workspace, cell, study=description["study"], public=description["public"]))
    for name, parameters in description.get(
        "stratifications", {}
    ).items():  # absent where an older track.json is replayed
        if partial and not all(path.is_file() for path in needed_strata_files(workspace, name)):
            continue
        runs.append(
            strata_contents(
                workspace,
                name,
                study=description["study"],
                parameters=parameters,
            )
        )
    return runs


def log_runs(workspace: Path, description: dict[str, Any], runs: list[RunContents]) -> Logged:
    """Log the runs that the store lacks; a second time adds nothing."""
    outcomes = sorted({run.cell.outcome for run in runs})
    return replay(
        runs,
        study=description["study"],
        title=description["title"],
        description=description["description"],
        provenance={
            outcome: provenance_of(workspace, None if outcome == STRATA else outcome) for outcome in outcomes
        },
        uri=store_uri(),
    )


def _cell(study: Study, outcome: str, learner: str, schemes: tuple[str, ...]) -> Cell:
    settings, chosen = study.learners[learner], study.outcomes[outcome]
    declared = study.primary
    is_primary = (declared.outcome, declared.learner) == (outcome, learner)
    parameters = {
        "outcome.kind": chosen.kind,
        "outcome.target": chosen.estimand.target,
        "learner.kind": settings.kind or learner,
        "learner.trials": settings.trials,
        "learner.predictors": "all" if settings.predictors is None else ", ".join(settings.predictors),
        "learner.feature_sets": ", ".join(settings.feature_sets or sorted(study.feature_sets)),
        "tuning.inner_folds": study.tuning.inner_folds,
        "seed": study.seed,
        "disclosure": study.disclosure.level,
        **{f"learner.{key}": value for key, value in settings.parameters.items()},
        **{f"scheme.{name}": study.validation[name].model_dump(mode="json") for name in schemes},
    }
    horizon = chosen.main_horizon
    return Cell(
        outcome=outcome,
        learner=learner,
        schemes={name: study.validation[name].kind for name in schemes},
        parameters={
            key: shown(value)
            for key, value in {**parameters, **({"outcome.horizon_days": horizon} if horizon else {})}.items()
        },
        primary=(declared.scheme, declared.metric) if is_primary else None,
        horizon=horizon or 0.0,
        lead=study.lead_learner(outcome) == learner,
    )


def _strata_parameters(study: Study, name: str) -> dict[str, str]:
    asked = study.stratifications[name].model_dump(mode="json")
    flat: dict[str, Any] = {"seed": study.seed, "disclosure": study.disclosure.level}
    for key, value in asked.items():
        if isinstance(value, dict) and key in (
            "one_group",
            "number",
            "stability",
            "replication",
            "value",
            "panel",
        ):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    return {key: shown(value) for key, value in flat.items()}


def _description(study: Study) -> str:
    primary = study.primary
    lines = [
        f"**{study.title}**",
        "",
        f"Primary analysis, declared beforehand: {primary.metric} of {primary.learner} for {primary.outcome} under "
        f"{primary.scheme}.",
        "",
        f"One run for each outcome and learner, and one for each stratification, named {STRATA}. Metrics are named scheme.metric, of "
        "a stratification test.figure; bounds of their 95 % intervals end in .lower and .upper; each run's description says what an "
        "interval is of. Runs tagged psystrata.superseded = true show results that have since changed.",
        "",
        f"Intended use: {study.intended_use}.",
    ]
    return "\n".join(lines)
