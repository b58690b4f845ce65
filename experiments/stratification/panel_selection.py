"""Forward selection of columns that tell the strata, by discriminant analysis under inner cross-validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.importance import balanced_accuracy, folds_of
from models.columns import is_category
from models.preprocessing import Preprocessor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CANDIDATES = 60  # columns that tell most by themselves; the others are not tried beside them
FARTHEST = 4.0  # standard deviations: what lies farther off is taken as this
RIDGE = 0.01  # of the mean variance within strata: squares of skewed columns are nearly copies


@dataclass(frozen=True)
class PathTask:
    """One forward selection; `test` marks the patients that are tested on, None: all are trained on."""

    X: pl.DataFrame
    strata: Integers
    centres: tuple[str | None, ...]
    test: NDArray[np.bool_] | None
    most: int
    folds: int
    seed: int


@dataclass(frozen=True)
class Path:
    """Columns in the order in which they were taken, and the balanced accuracy on the test patients at each size."""

    columns: tuple[str, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class Blocks:
    """What the classifier sees of each column: a number with its square, or the levels of a category.

    Attributes:
        fitted: training values, shape (training patients, derived).
        judged: test values, shape (test patients, derived).
        of: the derived columns of each column.
    """

    fitted: Floats
    judged: Floats
    of: Mapping[str, Integers]


Moments = tuple[Floats, Floats]
Piece = tuple[Blocks, Integers, Integers, Moments | None]  # values, strata trained on, strata tested on


def select_path(task: PathTask) -> Path:
    """Take columns one by one, each time the one with which the strata are told best within the training patients.

    Told best: the smallest Brier score (1950) of a linear discriminant analysis with equal prior chances, balanced over strata, in
    inner folds. It moves with every column, where accuracy stands still, and is bounded: the discriminant's probabilities are
    too sure of columns that are not normal, for which a log loss would punish a good one.
    """
    train = np.ones(len(task.strata), dtype=np.bool_) if task.test is None else ~task.test
    strata = task.strata[train]
    centres = [centre for centre, own in zip(task.centres, train, strict=True) if own]
    inner = folds_of(strata, centres, task.folds, task.seed)
    X = task.X.filter(pl.Series(train))
    if inner is None:
        return Path((), ())
    pieces: list[Piece] = [
        (coded_blocks(X, inner != number), strata[inner != number], strata[inner == number], None)
        for number in range(int(inner.max()) + 1)
    ]
    kept = [name for name in X.columns if all(name in blocks.of for blocks, *_ in pieces)]
    alone = {name: _inner_loss(pieces, [name]) for name in kept}
    candidates = sorted(kept, key=lambda name: (alone[name], name))[:CANDIDATES]
    pieces = [_narrowed(piece, candidates) for piece in pieces if candidates]
    chosen: list[str] = []
    while candidates and len(chosen) < task.most:
        losses = {
            name: alone[name] if not chosen else _inner_loss(pieces, [*chosen, name]) for name in candidates
        }
        chosen.append(min(candidates, key=lambda name: (losses[name], name)))
        candidates.remove(chosen[-1])
    if task.test is None:
        return Path(tuple(chosen), ())
    blocks = coded_blocks(task.X, train)
    found = [
        balanced_accuracy(told_scores(blocks, chosen[:size], strata).argmax(axis=1), task.strata[task.test])
        for size in range(1, len(chosen) + 1)
    ]
    return Path(tuple(chosen), tuple(found))


def coded_blocks(X: pl.DataFrame, train: NDArray[np.bool_]) -> Blocks:
    """Return training and test values, imputed, scaled and winsorised by the training patients; no mark of missing values.

    A panel that went by what is missing could not be measured.
    """
    coded = Preprocessor.fit(X.filter(pl.Series(train)), columns=X.columns, scale=True, markers=False)
    values = np.clip(coded.transform(X), -FARTHEST, FARTHEST)
    parts, of, place = [values], {}, values.shape[1]
    for position, name in enumerate(coded.columns):
        own = np.flatnonzero(coded.sources == position)
        if not is_category(X.schema[name]) and len(np.unique(values[:, own[0]])) > 2:
            square = values[:, own] ** 2
            spread = square[train].std()
            parts.append((square - square[train].mean()) / (spread if spread > 0 else 1.0))
            own = np.append(own, place)
            place += 1
        of[name] = own
    found = np.hstack(parts)
    return Blocks(found[train], found[~train], of)


def told_scores(
    blocks: Blocks, columns: Sequence[str], strata: Integers, moments: Moments | None = None
) -> Floats:
    """Return the discriminant score of each stratum for each test patient, shape (test patients, k).

    Linear discriminant analysis with equal prior chances and a slightly ridged covariance within strata (Friedman 1989, doi
    10.1080/01621459.1989.10478752): log density up to a constant. `moments` are those of all derived columns, where they are
    used often.
    """
    at = np.concatenate([blocks.of[name] for name in columns])
    if moments is None:
        centre, within = moments_of(blocks.fitted[:, at], strata)
    else:
        centre, within = moments[0][:, at], moments[1][np.ix_(at, at)]
    ridge = RIDGE * max(float(np.trace(within)) / len(at), 1e-9)
    weights = np.linalg.solve(within + ridge * np.eye(len(at)), centre.T)
    return np.asarray(
        blocks.judged[:, at] @ weights - 0.5 * (centre.T * weights).sum(axis=0), dtype=np.float64
    )


def moments_of(fitted: Floats, strata: Integers) -> Moments:
    """Return the means of the strata, shape (k, derived), and the covariance within them, shape (derived, derived)."""
    member = np.eye(int(strata.max()) + 1)[strata]
    centre = (member.T @ fitted) / member.sum(axis=0)[:, None]
    away = fitted - centre[strata]
    return centre, away.T @ away / max(len(fitted) - len(centre), 1)


def _narrowed(piece: Piece, columns: Sequence[str]) -> Piece:
    """Return a piece with some columns alone, and the moments of all of them."""
    blocks, strata, tested, _ = piece
    at = np.concatenate([blocks.of[name] for name in columns])
    ends = np.cumsum([len(blocks.of[name]) for name in columns])
    own = Blocks(
        blocks.fitted[:, at],
        blocks.judged[:, at],
        dict(zip(columns, np.split(np.arange(len(at)), ends[:-1]), strict=True)),
    )
    return own, strata, tested, moments_of(own.fitted, strata)


def _inner_loss(pieces: Sequence[Piece], columns: Sequence[str]) -> float:
    losses = []
    for blocks, strata, tested, moments in pieces:
        scores = told_scores(blocks, columns, strata, moments)
        highest = scores.max(axis=1, keepdims=True)
        chance = np.exp(scores - highest)
        chance /= chance.sum(axis=1, keepdims=True)
        chance[np.arange(len(tested)), tested] -= 1.0
        own = (chance**2).sum(axis=1)
        losses.append(np.mean([own[tested == one].mean() for one in np.unique(tested)]))
    return float(np.mean(losses))
