"""What the patients of each stratum are like: means and effect sizes with intervals, as description only.

The strata were made to differ in the columns that made them, so a p-value of such a column would be small for any division of
any cohort (Gao, Bien and Witten 2024, doi 10.1080/01621459.2022.2116331): none is computed, and `require_not_made` refuses one.
An interval says how precisely the mean of the stratum is known, given who is in it; not whether there is a stratum.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells, hidden_in_linked_tables
from experiments.seeds import seed_for
from experiments.stratification.schemas import Profile
from features.errors import BadInput
from models.columns import is_category

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BOOTSTRAPS = 400
BOUNDS = (0.025, 0.975)
FIGURES = ("mean", "effect", "effect_lower", "effect_upper")


@dataclass(frozen=True)
class Coded:
    """Columns as numbers: a number is itself, each level of a category 0 or 1; NaN where the value is missing.

    Attributes:
        names: the column and level of each, shape (coded,); level "" for a number.
        values: shape (patients, coded).
    """

    names: tuple[tuple[str, str], ...]
    values: Floats

    @classmethod
    def of(cls, X: pl.DataFrame) -> "Coded":
        """Return every column of X coded."""
        names: list[tuple[str, str]] = []
        parts: list[Floats] = []
        for name in X.columns:
            if not is_category(X.schema[name]):
                names.append((name, ""))
                parts.append(X[name].cast(pl.Float64).fill_null(np.nan).to_numpy())
                continue
            text = X[name].cast(pl.String)
            for level in text.drop_nulls().unique().sort():
                names.append((name, level))
                parts.append((text == level).cast(pl.Float64).fill_null(np.nan).to_numpy())
        values = np.column_stack(parts) if parts else np.empty((X.height, 0))
        return cls(tuple(names), np.asarray(values, dtype=np.float64))


def require_not_made(columns: Collection[str], made: Collection[str], what: str = "a p-value") -> None:
    """Refuse a p-value of columns that made the strata: BadInput."""
    circular = sorted(set(columns) & set(made))
    if circular:
        shown = ", ".join(circular[:10]) + (f" and {len(circular) - 10} more" if len(circular) > 10 else "")
        raise BadInput(
            f"{what[:1].upper()}{what[1:]} was asked for over strata for {shown}, which made these strata: they differ in it by "
            "construction, so it would mean nothing. Ask for columns that did not make them, or read the effect sizes of the profile."
        )


def profile(
    X: pl.DataFrame,
    memberships: Floats,
    centres: Sequence[str | None],
    *,
    made: Collection[str],
    smallest_cell: int,
    seed: int,
    bootstraps: int = BOOTSTRAPS,
) -> pl.DataFrame:
    """Return schemas.Profile: means and standardised differences of each stratum from all patients.

    Each patient counts in every stratum with the probability of being in it (an uncertain one in part in several); n
    counts patients whose most probable stratum it is. The 95 % interval is the percentile interval of a bootstrap of patients
    within centre with the memberships as they are (Efron and Tibshirani 1993, chapter 13).

    Args:
        X: one row per patient, numbers and categories.
        memberships: probability of each stratum, shape (patients, k), rows summing to 1.
        centres: of each patient; None is a centre of its own.
        made: names of the columns that made the strata.
        smallest_cell: figures of fewer patients are suppressed; 0 for public data.
        seed: study's seed.
        bootstraps: number of bootstrap samples.
    """
    coded = Coded.of(X)
    if not coded.names:
        return Profile.create_empty()
    strata = memberships.argmax(axis=1)
    weights = _resampled(centres, bootstraps, seed_for(seed, "stratify", "profile", 0))
    known = np.isfinite(coded.values)
    middle, spread = _moments(coded.values, known)
    scaled = np.where(known, (coded.values - middle) / np.where(spread > 0, spread, 1.0), 0.0)
    drawn = _drawn_effects(weights, memberships, scaled, known)
    frames = []
    for stratum in range(memberships.shape[1]):
        own = _over(memberships[:, stratum][None, :], scaled, known)[0]
        lower, upper = _percentiles(drawn[stratum])
        frames.append(
            pl.DataFrame(
                {
                    "stratum": np.full(len(coded.names), stratum + 1),
                    "column": [name for name, _ in coded.names],
                    "level": [level for _, level in coded.names],
                    "n": _counted(coded, strata == stratum),
                    "mean": own * np.where(spread > 0, spread, 1.0) + middle,
                    "effect": np.where(spread > 0, own, np.nan),
                    "effect_lower": np.where(spread > 0, lower, np.nan),
                    "effect_upper": np.where(spread > 0, upper, np.nan),
                }
            )
        )
    table = pl.concat(frames).with_columns(pl.col(FIGURES).fill_nan(None), made=pl.col("column").is_in(made))
    return Profile.validate(
        suppressed(table, X, strata, memberships.shape[1], smallest_cell).sort("stratum", "column", "level"),
        cast=True,
    )


def _drawn_effects(weights: Floats, memberships: Floats, scaled: Floats, known: Flags) -> list[Floats]:
    """Return each stratum's effect sizes in the bootstrap samples, shape (samples, columns) each; NaN without spread."""
    overall = _over(weights, scaled, known)
    deviation = np.sqrt(np.maximum(_over(weights, scaled**2, known) - overall**2, 0.0))
    return [
        np.divide(
            _over(weights * share, scaled, known) - overall,
            deviation,
            out=np.full_like(overall, np.nan),
            where=deviation > 1e-9,
        )
        for share in memberships.T
    ]


def suppressed(
    table: pl.DataFrame, X: pl.DataFrame, strata: Integers, k: int, smallest_cell: int
) -> pl.DataFrame:
    """Return the table with small cells, and cells that give one away, set to null.

    The sizes of the strata are published elsewhere and the mean of all follows from two effects, so the cells of one column form a
    table of strata by levels with both margins known. Where few patients of some stratum lack a value, no n of that
    column is told, as the size less n would be their number.
    """
    if smallest_cell <= 0 or table.is_empty():
        return table
    parts = []
    for (name,), own in table.group_by("column", maintain_order=True):
        levels = own["level"].unique().sort()
        grid = own.sort("stratum", "level")["n"].to_numpy().reshape(k, len(levels))
        if own["level"][0] == "":
            hidden = hidden_cells(grid, smallest_cell)[:, None]
        else:
            hidden = hidden_in_linked_tables(
                grid[:, :, None], np.ones(grid.shape, dtype=np.bool_), smallest_cell
            )
        lacking = np.bincount(strata[_missing(X[str(name)])], minlength=k)
        few = bool(((lacking > 0) & (lacking < smallest_cell)).any())
        flags = own.sort("stratum", "level").with_columns(hidden=pl.Series(hidden.ravel()), few=pl.lit(few))
        parts.append(
            flags.with_columns(
                pl.when("hidden").then(None).otherwise(pl.col(FIGURES)).name.keep(),
                n=pl.when(pl.col("hidden") | pl.col("few")).then(None).otherwise(pl.col("n")),
            ).drop("hidden", "few")
        )
    return pl.concat(parts)


def _missing(column: pl.Series) -> Flags:
    found = (
        column.is_null() | column.is_nan().fill_null(value=False)
        if column.dtype.is_float()
        else column.is_null()
    )
    return np.asarray(found.to_numpy(), dtype=np.bool_)


def _counted(coded: Coded, own: Flags) -> Integers:
    """Return patients of a stratum with a value, or at the level, shape (coded,)."""
    values = coded.values[own]
    at_level = np.nansum(values, axis=0, where=np.isfinite(values))
    number = np.array([level == "" for _, level in coded.names])
    found: Any = np.where(number, np.isfinite(values).sum(axis=0), at_level)
    return np.asarray(found, dtype=np.int64)


def _moments(values: Floats, known: Flags) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column's known values; 0 where there is none."""
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    return mean, np.where(spread > 1e-9 * np.maximum(1.0, np.abs(mean)), spread, 0.0)


def _over(weights: Floats, values: Floats, known: Flags) -> Floats:
    """Return weighted means of the known values, shape (weightings, columns); NaN without weight."""
    total, count = weights @ values, weights @ known.astype(np.float64)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 1e-9)


def _percentiles(drawn: Floats) -> tuple[Floats, Floats]:
    """Return the bounds over samples, shape (columns,) each; NaN where a sample has no figure."""
    found = np.quantile(np.nan_to_num(drawn, nan=0.0), BOUNDS, axis=0)
    whole = np.isfinite(drawn).all(axis=0)
    return np.where(whole, found[0], np.nan), np.where(whole, found[1], np.nan)


def _resampled(centres: Sequence[str | None], samples: int, seed: int) -> Floats:
    """Return how often each patient is drawn, shape (samples, patients); each centre keeps its size."""
    named = np.array(["" if centre is None else f"1{centre}" for centre in centres])
    generator = np.random.default_rng(seed)
    weights = np.empty((samples, len(named)))
    for centre in np.unique(named):
        rows = np.flatnonzero(named == centre)
        weights[:, rows] = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=samples)
    return weights
