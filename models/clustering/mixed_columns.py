"""Numbers and categories on common scales, missing ones left missing: what distances and latent classes see."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.answers import FEWEST_VALUES
from models.clustering.contract import ClusterOptions
from models.columns import is_category, middle_value
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP, number_values, require_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Scale = Literal["robust", "range"]


WIDEST = 3.0  # robust standard deviations from the median at which numbers are winsorised
MOST_LEVELS = 30
MIDDLE = (
    0.05,
    0.95,
)  # their distance is 3.29 standard deviations of a normal distribution and spans strata of 5 % and more
MIDDLE_WIDTH = 3.2897072539


@dataclass(frozen=True)
class NumberScale:
    """A column of numbers: kept between two limits, then counted in units from its median."""

    name: str
    low: float
    high: float
    centre: float
    unit: float


@dataclass(frozen=True)
class Levels:
    """A column of categories: levels of 11 patients or more, and whether rarer ones together are one more."""

    name: str
    levels: tuple[str, ...]
    other: bool

    @property
    def codes(self) -> int:
        """Return the number of kinds of value."""
        return len(self.levels) + self.other


@dataclass(frozen=True)
class Encoded:
    """Patients on common scales.

    Attributes:
        numbers: shape (patients, number columns), NaN where missing.
        codes: shape (patients, category columns), from 0, -1 where missing.
    """

    numbers: Floats
    codes: Integers


@dataclass(frozen=True)
class MixedColumns:
    """Fitted scales of columns, found by name; `fit` makes them, `encode` applies them.

    Attributes:
        numbers: sorted by name.
        categories: sorted by name.
        sets: the modality of each column by name; one modality "" where none has a weight.
        weights: the weight of each modality.
    """

    numbers: tuple[NumberScale, ...]
    categories: tuple[Levels, ...]
    sets: Mapping[str, str]
    weights: Mapping[str, float]

    @classmethod
    def fit(
        cls, X: pl.DataFrame, options: ClusterOptions, scale: Scale, *, unit: float = 1.0, coded: bool = False
    ) -> Self:
        """Learn scales; columns that are constant or that fewer than 11 patients have are left out.

        Args:
            X: shape (patients, columns).
            options: modalities and weights.
            scale: "robust", by the distance of the 5 % and 95 % points, winsorised at three such standard deviations; "range",
                by the distance of the means of the eleven lowest and highest values.
            unit: robust standard deviations that count as 1.
            coded: numbers with fewer than ten distinct values are taken as categories.

        Raises:
            BadTarget: no column is left.
        """
        numbers: list[NumberScale] = []
        categories: list[Levels] = []
        for name in sorted(X.columns):
            column = X[name]
            if is_category(column.dtype) or (coded and column.drop_nulls().n_unique() < FEWEST_VALUES):
                levels = _levels(column)
                categories += [] if levels is None else [levels]
            else:
                number = _scale(name, number_values(X, [name])[:, 0], scale, unit)
                numbers += [] if number is None else [number]
        if not numbers and not categories:
            raise BadTarget(
                f"No column varies among {SMALLEST_GROUP} patients or more; name other feature sets or columns."
            )
        used = [one.name for one in numbers] + [kind.name for kind in categories]
        sets = {name: options.modalities.get(name, "") if options.weights else "" for name in used}
        weights = {one: float(options.weights.get(one, 1.0)) for one in sorted(set(sets.values()))}
        return cls(tuple(numbers), tuple(categories), sets, weights)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used: numbers, then categories."""
        return (*(one.name for one in self.numbers), *(one.name for one in self.categories))

    def encode(self, X: pl.DataFrame) -> Encoded:
        """Return patients on these scales; raises BadTarget where a column is missing or of another kind."""
        require_columns(X, self.columns)
        found = number_values(X, [one.name for one in self.numbers])
        low, high, centre, unit = (
            np.array([(one.low, one.high, one.centre, one.unit) for one in self.numbers], dtype=np.float64)
            .reshape(-1, 4)
            .T
        )
        numbers = (np.clip(found, low, high) - centre) / unit
        codes = np.full((X.height, len(self.categories)), -1, dtype=np.int64)
        for place, kind in enumerate(self.categories):
            codes[:, place] = _coded(_text(X[kind.name]), kind)
        return Encoded(numbers, codes)

    def column_weights(self) -> Floats:
        """Return each column's share of its modality's weight, shape (columns,), 1 on average."""
        sets = [self.sets[name] for name in self.columns]
        shares = np.array([self.weights[one] / sets.count(one) for one in sets])
        return np.asarray(shares / shares.mean(), dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                tuple(NumberScale(**one) for one in state["numbers"]),
                tuple(Levels(**{**one, "levels": tuple(one["levels"])}) for one in state["categories"]),
                dict(state["sets"]),
                {str(name): float(weight) for name, weight in dict(state["weights"]).items()},
            )
            whole = _whole(made)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
            raise BadTarget("The stored scales of the columns are damaged; stratify again.") from problem
        if not whole:
            raise BadTarget("The stored scales of the columns are damaged; stratify again.")
        return made


def _scale(name: str, values: Floats, scale: Scale, unit: float) -> NumberScale | None:
    known = np.sort(values[~np.isnan(values)])
    if len(known) < SMALLEST_GROUP or known[0] == known[-1]:
        return None
    centre = middle_value(known)
    if scale == "range":
        low, high = known[:SMALLEST_GROUP].mean(), known[-SMALLEST_GROUP:].mean()
        spread = float(high - low)
    else:
        low, high = np.quantile(known, MIDDLE)
        spread = float(high - low) / MIDDLE_WIDTH
    if spread <= 0 or scale == "robust":  # nearly all have one value: what the others deviate by
        spread = spread if spread > 0 else float(known.std())
        low, high = centre - WIDEST * spread, centre + WIDEST * spread
        spread *= unit
    return NumberScale(name, float(low), float(high), centre, spread)


def _text(column: pl.Series) -> pl.Series:
    """Return categories as text; whole numbers read alike whatever their type, and NaN is missing."""
    if is_category(column.dtype):
        return column.cast(pl.String)
    return column.cast(pl.Float64).fill_nan(None).cast(pl.String)


def _levels(column: pl.Series) -> Levels | None:
    counts = _text(column).rename("level").drop_nulls().value_counts(name="rows")
    counts = counts.sort(["rows", "level"], descending=[True, False])
    kept = counts.filter(pl.col("rows") >= SMALLEST_GROUP).head(MOST_LEVELS)
    other = int(counts["rows"].sum()) - int(kept["rows"].sum()) >= SMALLEST_GROUP
    made = Levels(column.name, tuple(sorted(kept["level"])), other)
    return made if made.codes >= 2 else None


def _coded(text: pl.Series, kind: Levels) -> Integers:
    places = list(range(len(kind.levels)))
    rarer = len(kind.levels) if kind.other else -1  # a rare level that is none of the strata's tells nothing
    codes = text.replace_strict(list(kind.levels), places, default=rarer, return_dtype=pl.Int64)
    return np.where(text.is_null().to_numpy(), -1, codes.to_numpy()).astype(np.int64)


def _whole(made: MixedColumns) -> bool:
    numbers = [(one.low, one.high, one.centre, one.unit) for one in made.numbers]
    names = made.columns
    return (
        len(names) == len(set(names)) > 0
        and all(isinstance(name, str) for name in names)
        and set(made.sets) == set(names)
        and set(made.sets.values()) == set(made.weights)
        and all(math.isfinite(weight) and weight > 0 for weight in made.weights.values())
        and all(all(map(math.isfinite, one)) and one[0] < one[1] and one[3] > 0 for one in numbers)
        and all(_whole_levels(kind) for kind in made.categories)
    )


def _whole_levels(kind: Levels) -> bool:
    return (
        isinstance(kind.other, bool)
        and all(isinstance(level, str) for level in kind.levels)
        and len(set(kind.levels)) == len(kind.levels) <= MOST_LEVELS
        and kind.codes >= 2
    )
