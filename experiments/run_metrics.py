"""Which figures of a cell a run shows, and under which names."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import polars as pl


def reported(metrics: pl.DataFrame, schemes: Mapping[str, str]) -> pl.DataFrame:
    """Return the combined figures of each scheme, and those of each left-out centre or country; everybody, no subgroup.

    Folds of a k-fold scheme stay in the tables: they are draws of one and the same figure.
    """
    combined = pl.col("group").is_null() & pl.col("fold").is_null()
    apart = [name for name, kind in schemes.items() if kind != "stratified_kfold"]
    return metrics.filter(
        pl.col("subgroup").is_null()
        & (combined | (pl.col("group").is_not_null() & pl.col("scheme").is_in(apart)))
    )


def metric_values(metrics: pl.DataFrame, schemes: Mapping[str, str]) -> dict[str, float]:
    """Return MLflow's metrics of one cell: scheme.metric, and scheme.group.metric for centres and countries.

    Folds of a k-fold scheme and subgroups stay in the tables: a chart for each would bury the rest.
    """
    rows = reported(metrics, schemes).filter(pl.col("estimate").is_not_null())
    horizons = rows["horizon"].n_unique()
    values: dict[str, float] = {}
    for row in rows.iter_rows(named=True):
        parts = [row["scheme"], row["group"], row["metric"]]
        parts.append("new_centre" if row["interval_kind"] == "prediction_interval" else None)
        parts.append(f"cause_{row['cause']}" if row["cause"] != 1 else None)
        parts.append(f"horizon_{row['horizon']:g}" if horizons > 1 else None)
        name = fresh_name(".".join(legal_name(part) for part in parts if part), values)
        values[name] = row["estimate"]
        bounds = {f"{name}.{bound}": row[bound] for bound in ("lower", "upper") if row[bound] is not None}
        values.update(bounds)
    return values


def first_columns(
    schemes: Sequence[str], primary: tuple[str, str] | None, logged: Iterable[Mapping[str, float]]
) -> list[str]:
    """Return the metrics that a list of runs shows first: the declared metric under each scheme, with its bounds.

    Args:
        schemes: the schemes of the primary cell.
        primary: its scheme and metric declared beforehand.
        logged: the metrics of every run.
    """
    if primary is None:
        return []
    known = {name for metrics in logged for name in metrics}
    ordered = [primary[0], *(scheme for scheme in schemes if scheme != primary[0])]
    names = [f"{scheme}.{primary[1]}{bound}" for scheme in ordered for bound in ("", ".lower", ".upper")]
    return [name for name in names if name in known]


def legal_name(text: str) -> str:
    """Return text as a part of an MLflow metric name: ASCII letters, digits and underscores, at most 80 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")[:80] or "unnamed"


def fresh_name(name: str, taken: Mapping[str, float]) -> str:
    """Return the name, or with a number behind it where it is taken: two places may differ in punctuation alone."""
    number, fresh = 2, name
    while fresh in taken:
        fresh, number = f"{name}_{number}", number + 1
    return fresh
