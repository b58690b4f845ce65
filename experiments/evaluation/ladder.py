"""The validation ladder in one table: from new patients of the same centres to later patients in another country."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from experiments.results import LADDER_METRICS, SCHEMA_VERSION, Ladder

ORDER = ("stratified_kfold", "leave_centre_out", "leave_country_out", "temporal")
KEYS = ("study", "outcome", "learner", "cause", "horizon")
Row = dict[str, Any]


def ladder(metrics: pl.DataFrame, heterogeneity: pl.DataFrame, schemes: Mapping[str, str]) -> pl.DataFrame:
    """Return one row per rung, learner and horizon, schema Ladder.

    A country left out is a rung of its own: two directions are not a sample of countries, so nothing is combined over
    them. Later patients are one rung. Centres alone have a variance between them and a prediction interval.

    Args:
        metrics: schema Metrics.
        heterogeneity: schema Heterogeneity.
        schemes: kind by scheme name.
    """
    everybody = metrics.filter(
        pl.col("subgroup").is_null() & (pl.col("interval_kind") != "prediction_interval")
    )
    ordered = sorted(schemes, key=lambda name: ORDER.index(schemes[name]))
    rows: list[Row] = []
    for key, own in everybody.group_by(KEYS, maintain_order=True):
        rungs = [rung for scheme in ordered for rung in _rungs(own, scheme, schemes[scheme])]
        shared = dict(zip(KEYS, key, strict=True))
        for number, (scheme, group, figures) in enumerate(rungs, start=1):
            place = {"rung": number, "scheme": scheme, "kind": schemes[scheme], "group": group}
            between = heterogeneity.filter(
                (pl.col("scheme") == scheme),
                *(pl.col(name) == value for name, value in shared.items()),
            )
            rows.append({**shared, **place, **_sizes(figures), **_figures(figures, between)})
    if not rows:
        return Ladder.create_empty()
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(schema_version=SCHEMA_VERSION)
    return Ladder.validate(frame.select(Ladder.column_names()), cast=True)


def _rungs(metrics: pl.DataFrame, scheme: str, kind: str) -> list[tuple[str, str | None, pl.DataFrame]]:
    own = metrics.filter(pl.col("scheme") == scheme)
    if kind != "leave_country_out":
        combined = own.filter(pl.col("fold").is_null())
        return [(scheme, None, combined)] if combined.height else []
    directions = own.filter(pl.col("fold").is_not_null())
    groups = directions["group"].unique(maintain_order=True).to_list()
    return [(scheme, group, directions.filter(pl.col("group") == group)) for group in groups]


def _sizes(figures: pl.DataFrame) -> Row:
    first = figures.row(0, named=True)
    return {name: first[name] for name in ("n", "patients", "events")}


def _figures(figures: pl.DataFrame, between: pl.DataFrame) -> Row:
    found = {row["metric"]: row for row in figures.iter_rows(named=True)}
    spread = {row["metric"]: row for row in between.iter_rows(named=True)}
    cells: Row = {}
    for metric in LADDER_METRICS:
        own, new = found.get(metric, {}), spread.get(metric, {})
        cells |= {metric: own.get("estimate")}
        cells |= {f"{metric}_{part}": own.get(part) for part in ("lower", "upper", "interval_kind")}
        cells |= {f"{metric}_{part}": new.get(part) for part in ("between", "new_lower", "new_upper")}
    return cells
