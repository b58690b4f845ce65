"""LightGBM trees of the cause that happens in an interval of time, fitted on person-periods."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget
from models.leaves import FEWEST_IN_LEAF
from models.light_gbm import BINNING, LightGbmModel, load_light_gbm
from models.person_periods import PersonPeriods

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK = 50_000  # person-periods copied at once
SURE = 1e-9


class HazardTrees(LightGbmModel):
    """Trees of one class (a cause against none), or of none and each cause."""

    def shares(self, values: Floats) -> Floats:
        """Return exact tree SHAP values with their base, class by class, shape (rows, classes x (columns + 1))."""
        return np.asarray(self._booster.predict(values, pred_contrib=True, num_threads=1), dtype=np.float64)


@dataclass(frozen=True)
class Classes:
    """What the trees tell apart.

    Attributes:
        periods: all of them; those in which a cause without trees happened are left out.
        modelled: the causes with trees.
        offsets: shape (modelled, intervals), the log odds against none that the trees start from.
    """

    periods: PersonPeriods
    modelled: tuple[int, ...]
    offsets: Floats

    @property
    def several(self) -> bool:
        """Whether there are more classes than a cause and none."""
        return len(self.modelled) > 1

    def numbered(self) -> tuple[Integers, Integers]:
        """Return the periods that are used, and the class of each: 0 none, then causes in their order."""
        numbers = np.full(max(int(self.periods.cause.max()), *self.modelled) + 1, -1, dtype=np.int64)
        numbers[[0, *self.modelled]] = np.arange(len(self.modelled) + 1)
        kept = np.flatnonzero(numbers[self.periods.cause] >= 0)
        return kept, numbers[self.periods.cause[kept]]

    def starts(self, interval: Integers) -> Floats:
        """Return the score that each period starts from: shape (periods,), or (periods, classes) of several."""
        if not self.several:
            return np.asarray(self.offsets[0, interval], dtype=np.float64)
        return np.asarray(np.vstack([np.zeros(self.offsets.shape[1]), self.offsets])[:, interval].T)


def interval_log_odds(periods: PersonPeriods, modelled: tuple[int, ...], intervals: int) -> Floats:
    """Return the log odds of each cause against none, shape (modelled, intervals).

    One more period with the mean rate keeps them finite where nothing happened.
    """
    if not modelled:
        return np.zeros((0, intervals))
    at_risk = np.bincount(periods.interval, weights=periods.weight, minlength=intervals)
    whole = periods.weight.sum()
    rates = []
    for cause in modelled:
        happened = np.bincount(periods.interval[periods.cause == cause], minlength=intervals)
        rates.append((happened + happened.sum() / whole) / (at_risk + 1.0))
    none = np.maximum(1.0 - np.sum(rates, axis=0), SURE)
    return np.asarray(np.log(rates) - np.log(none), dtype=np.float64)


def fit_hazard_trees(
    values: Floats, classes: Classes, parameters: Mapping[str, Any], seed: int
) -> HazardTrees:
    """Fit the trees on one thread, the same at every run.

    LightGBM estimates the rows of a leaf from second derivatives, so min_data_in_leaf alone does not bound them: it is
    doubled until every leaf holds 11 rows or more.

    Args:
        values: shape (rows, derived), NaN where missing.
        classes: what happened in each period of these rows.
        parameters: see models.light_gbm_hazard.
        seed: of the columns and periods drawn for each tree.
    """
    import lightgbm

    if parameters["min_data_in_leaf"] < FEWEST_IN_LEAF:
        raise BadTarget(
            f"lightgbm_hazard needs min_data_in_leaf of {FEWEST_IN_LEAF} or more, so that no leaf tells about single "
            f"patients; got {parameters['min_data_in_leaf']}."
        )
    kept, labels = classes.numbered()
    row, interval = classes.periods.row[kept], classes.periods.interval[kept]
    kind = {"objective": "multiclass", "num_class": len(classes.modelled) + 1}
    settings = {
        **{name: value for name, value in parameters.items() if name != "rounds"},
        **BINNING,
        **(kind if classes.several else {"objective": "binary"}),
        "bagging_freq": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed % 2**31,
    }
    intervals = classes.offsets.shape[1]
    matrix = _matrix(values, row, interval)
    rows = lightgbm.Dataset(
        matrix,
        label=labels,
        weight=classes.periods.weight[kept],
        init_score=classes.starts(interval),
        params=settings,
        free_raw_data=True,
    )
    least = int(parameters["min_data_in_leaf"]) * intervals
    while True:
        settings["min_data_in_leaf"] = least
        booster = lightgbm.train(settings, rows, num_boost_round=int(parameters["rounds"]))
        text = booster.model_to_string()
        # A row has at most one period in each interval: with so many periods in a leaf nobody needs to be counted.
        if (
            _fewest_periods(text) >= FEWEST_IN_LEAF * intervals
            or _fewest_rows(booster, matrix, row) >= FEWEST_IN_LEAF
        ):
            return HazardTrees(text)
        least *= 2


def _fewest_periods(text: str) -> int:
    """Return the fewest periods of any leaf, those that bagging left out not counted."""
    counts = re.findall(r"^leaf_count=(.*)$", text, flags=re.MULTILINE)
    return min(int(count) for line in counts for count in line.split())


def _fewest_rows(booster: "lightgbm.Booster", matrix: NDArray[np.float32], row: Integers) -> int:
    """Return the fewest rows, each counted once, of any leaf."""
    leaves = np.asarray(booster.predict(matrix, pred_leaf=True, num_threads=1)).reshape(len(row), -1)
    fewest = len(row)
    for tree in leaves.T.astype(np.int64):
        found = np.unique(tree * (row.max() + 1) + row) // (row.max() + 1)
        counts = np.bincount(found)
        fewest = min(fewest, int(counts[counts > 0].min()))
    return fewest


def load_hazard_trees(data: bytes) -> HazardTrees:
    """Rebuild from text; anything but a LightGBM text of trees is refused before the library sees it."""
    return HazardTrees(load_light_gbm(data).to_bytes().decode())


def with_interval(values: Floats, interval: int) -> Floats:
    """Return values in single precision, as the trees were fitted on, and the interval as last column."""
    wider = np.empty((len(values), values.shape[1] + 1), dtype=np.float64)
    wider[:, :-1], wider[:, -1] = values.astype(np.float32), interval
    return wider


def _matrix(values: Floats, row: Integers, interval: Integers) -> NDArray[np.float32]:
    """Return the rows of the periods with the interval as last column, shape (periods, derived + 1)."""
    single = np.ascontiguousarray(values, dtype=np.float32)
    made = np.empty((len(row), values.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(row), BLOCK):
        block = slice(start, start + BLOCK)
        made[block, :-1] = single[row[block]]
    made[:, -1] = interval
    return made
