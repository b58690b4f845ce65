"""A small bundle, to be spoiled in one way at a time."""

from typing import Any

from experiments.bundle.contents import (
    CARD,
    DEFINITION,
    README,
    REFERENCE,
    Column,
    Definition,
    Reference,
    VariableDefinition,
    content_bytes,
)
from experiments.bundle.packing import seal

HEAD: dict[str, Any] = {
    "psystrata": "0.1.0",
    "study": "mine",
    "outcome": "relapse",
    "learner": "elastic_net",
    "kind": "elastic_net",
    "scheme": "countries",
    "left_out": "DE",
    "model": "0" * 64,
    "choices": {"sections": {"seed": "1" * 16}, "data": "", "lock": "", "commit": ""},
    "openings": [{"left_out": "DE", "openings": 1, "sets_of_choices": 1}],
}


def column(name: str, feature_set: str, *needs: str, unit: str | None = None) -> Column:
    return Column(
        column=f"{feature_set}_{name}",
        feature_set=feature_set,
        kind="number",
        description=f"latest {name}",
        unit=unit,
        source="the laboratory",
        needs=needs or None,
    )


def variable(unit: str | None, **changes: Any) -> VariableDefinition:
    values = {"kind": "number", "unit": unit, "range": (0.0, 500.0), "levels": None}
    return VariableDefinition.model_validate({**values, **changes})


def definition(**changes: Any) -> Definition:
    values: dict[str, Any] = {
        "time": "date",
        "prediction_times": {"kind": "baseline_visit"},
        "outcome": {
            "kind": "event_within_horizon",
            "event": "relapse",
            "competing": ["death"],
            "title": "Relapse",
        },
        "horizons": (365.0,),
        "feature_sets": {"blood": {"look_behind_days": None}, "clinical": {}},
        "reference_files": {},
        "variables": {"crp": variable("mg/L"), "age": variable("years")},
        "columns": (
            column("crp", "blood", "crp", unit="mg/L"),
            column("age", "clinical", "age", unit="years"),
        ),
    }
    return Definition.model_validate({**values, **changes})


def small_bundle(**head: Any) -> dict[str, bytes]:
    reference = Reference(predictions=90, patients=80, base_rates=(), summaries=(), figures=(), curves=())
    files = {
        "model/learner.json": b'{"kind": "elastic_net"}',
        "model/model_0.txt": b"tree\nversion=v4\n",
        DEFINITION: content_bytes(definition()),
        REFERENCE: content_bytes(reference),
        CARD: b"<!doctype html><p>A card.</p>\n",
        README: b"# Relapse\n",
    }
    return seal(files, {**HEAD, **head})
