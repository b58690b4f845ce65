"""The page that a bundle explains itself with."""

from collections.abc import Mapping
from typing import Any

from experiments.bundle.contents import Definition
from pipeline.settings.study import Study


def readme(study: Study, head: Mapping[str, Any], definition: Definition) -> str:
    """Return the README of a bundle, in Markdown; `head` is what its manifest says of the model."""
    model = "the final model" if head["left_out"] is None else f"the model made without {head['left_out']}"
    lines = [
        f"# {study.outcomes[head['outcome']].title}",
        "",
        f"A frozen model of psystrata {head['psystrata']}: {model} of {head['learner']} for {head['outcome']}, study "
        f"{head['study']}. It holds no patient's row. Intended use: {study.intended_use}.",
        "",
        "| file | content |",
        "|---|---|",
        "| manifest.json | what this is, the hash of every choice behind it, SHA-256 of every file |",
        "| model/ | the fitted model with its preprocessing: JSON and native text, nothing executable |",
        "| definition.json | columns, feature sets, variables with units, prediction times, outcome with its estimand |",
        "| reference.json | published figures and curves; base rates and distributions of those it was fitted on |",
        "| card.html | the model card |",
        "",
        "To run it on your patients, inside your own walls, with an outcome of the same definition in your study file:",
        "",
        f"    psystrata validate THIS_BUNDLE YOUR_STUDY --outcome {head['outcome']} --out FOLDER",
        "",
        "Only aggregated and suppressed figures are written to FOLDER. A changed, missing or additional file is refused. "
        "To know that the bundle is the sender's, compare its fingerprint with one told on another way.",
        "",
        f"Columns: {len(definition.columns)}, of the feature sets {', '.join(sorted(definition.feature_sets)) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"
