"""What distinguishes the strata, and how much they follow the centres."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import suppress_counts
from experiments.stratification.schemas import Profile

Integers = NDArray[np.int64]


def profile(X: pl.DataFrame, strata: Integers, *, smallest_cell: int) -> pl.DataFrame:
    """Return schemas.Profile: means and standardised differences of each stratum from the whole cohort.

    Args:
        X: one row per patient.
        strata: shape (rows,), counted from 1.
        smallest_cell: figures of fewer patients are suppressed; 0 for public data.
    """
    frames = [
        _number(X[name], strata) if X[name].dtype.is_numeric() else _category(X[name], strata)
        for name in X.columns
    ]
    table = pl.concat(frames).sort("stratum", "column", "level")
    numbers = suppress_counts(
        table.filter(pl.col("level") == ""),
        counts=["n"],
        smallest_cell=smallest_cell,
        within=["column"],
        blank=["mean", "effect"],
    )
    levels = suppress_counts(
        table.filter(pl.col("level") != ""),
        counts=["n"],
        smallest_cell=smallest_cell,
        within=["stratum", "column"],
        blank=["mean", "effect"],
    )
    return Profile.validate(pl.concat([numbers, levels]).sort("stratum", "column", "level"), cast=True)


def shared_with_centres(strata: Integers, centres: list[str | None]) -> dict[str, float]:
    """Return the mutual information of stratum and centre: in nats, and adjusted for chance (Vinh 2010, JMLR 11).

    Adjusted, 0 is what independent labels give and 1 complete agreement: strata that follow the centres are not the
    patients'.
    """
    from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

    named = ["" if centre is None else f"centre {centre}" for centre in centres]
    return {
        "mutual_information": round(max(float(mutual_info_score(named, strata)), 0.0), 6),
        "adjusted": round(float(adjusted_mutual_info_score(named, strata)), 6),
    }


def _number(column: pl.Series, strata: Integers) -> pl.DataFrame:
    frame = pl.DataFrame({"stratum": strata, "value": column.cast(pl.Float64).fill_nan(None)})
    mean, spread = frame["value"].mean(), frame["value"].std(ddof=0)
    return _finished(
        frame.group_by("stratum", maintain_order=True).agg(
            n=pl.col("value").count().cast(pl.Int64), mean=pl.col("value").mean()
        ),
        column.name,
        "",
        float(mean) if isinstance(mean, (int, float)) else 0.0,
        float(spread) if isinstance(spread, (int, float)) else 0.0,
    )


def _category(column: pl.Series, strata: Integers) -> pl.DataFrame:
    frame = pl.DataFrame({"stratum": strata, "value": column}).drop_nulls("value")
    frames = []
    for level in frame["value"].unique().sort():
        at_level = frame.with_columns(hit=pl.col("value") == level)
        share = float(at_level["hit"].sum()) / len(at_level)
        counted = at_level.group_by("stratum", maintain_order=True).agg(
            n=pl.col("hit").sum().cast(pl.Int64), mean=pl.col("hit").cast(pl.Float64).mean()
        )
        frames.append(_finished(counted, column.name, str(level), share, float(np.sqrt(share * (1 - share)))))
    return pl.concat(frames) if frames else _finished(_nobody(), column.name, "", 0.0, 0.0)


def _nobody() -> pl.DataFrame:
    return pl.DataFrame(schema={"stratum": pl.Int64, "n": pl.Int64, "mean": pl.Float64})


def _finished(frame: pl.DataFrame, column: str, level: str, mean: float, spread: float) -> pl.DataFrame:
    effect = (pl.col("mean") - mean) / spread if spread > 0 else pl.lit(None, dtype=pl.Float64)
    return frame.select(
        pl.col("stratum").cast(pl.Int32),
        column=pl.lit(column),
        level=pl.lit(level),
        n="n",
        mean="mean",
        effect=effect,
    )
