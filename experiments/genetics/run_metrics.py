"""Figures of the genotypes that a tracked run carries."""

from collections.abc import Mapping
from typing import Any


def genetic_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return figures for MLflow: the least match rate and share of weights of each score, and the pruned variants."""
    found: dict[str, float] = {}
    for item in report.get("matches", ()):
        for name, value in (("match_rate", item["rate"]), ("weight_share", item["weight_share"])):
            key = f"genetic.{item['score']}.{name}"
            found[key] = min(found.get(key, 1.0), float(value))
    for item in report.get("scores", ()):
        found[f"genetic.{item['score']}.variants_used"] = float(item["used"])
    if report.get("variants"):
        found["genetic.pruned_variants"] = float(report["variants"]["pruned"])
    return found
