"""Polygenic scores: the sum of weights over effect alleles, many scores in one pass, no other sample looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.genotypes import NOT_CALLED, GenotypeFile
from features.genetics.matching import Match
from features.genetics.weighted_sums import COPIES, Column, Sums, scale_for, weighted_sums

__all__ = [
    "HARDY_WEINBERG",
    "MEAN",
    "NONE",
    "MissingGenotypes",
    "SampleScores",
    "score_samples",
    "weighted_sums",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MEAN, NONE, HARDY_WEINBERG = "mean", "none", "hardy_weinberg"


@dataclass(frozen=True)
class MissingGenotypes:
    """What a missing genotype counts, with f the frequency of the effect allele.

    `mean`: plink2's mean imputation, 2f; of a dominant or recessive row f, which is what plink2 2.00a3.5 counts there.
    `none`: nothing, and the sum is multiplied by all variants over variants called: plink2's `no-mean-imputation` average
    (Chang et al., GigaScience 2015, 4:7) times the number of alleles.
    `hardy_weinberg`: the expected state, 2f; dominant 1 - (1 - f)^2, recessive f^2.
    Rows whose f is not known are treated as in `none`, the others not.

    Attributes:
        imputation: mean, none or hardy_weinberg.
        frequencies: f by match and row of `Match.used`, NaN where not known; None: those that scoring files state.
    """

    imputation: str = HARDY_WEINBERG
    frequencies: Sequence[Floats] | None = None

    def of_match(self, place: int, match: Match) -> Floats:
        """The frequencies of a match's rows; NaN: a missing genotype of the row is left out."""
        if self.imputation == NONE:
            return np.full(match.used.height, np.nan)
        if self.frequencies is not None:
            return np.asarray(self.frequencies[place], dtype=np.float64)
        return match.used["frequency"].cast(pl.Float64).fill_null(np.nan).to_numpy()


@dataclass(frozen=True)
class SampleScores:
    """Scores of some samples of one genotype file.

    Attributes:
        values: samples x scores; NaN where a sample has no genotype of the score's variants.
        missing: missing genotypes per score among the matched variants of all these samples.
    """

    values: Floats
    missing: Integers


def load_kernels() -> None:
    """Load the compiled loops: half a second of a process's first score, which can pass while scoring files are read."""
    from features.genetics import score_kernels

    assert score_kernels is not None


def score_samples(
    genotypes: GenotypeFile,
    matches: Sequence[Match],
    *,
    samples: Integers,
    missing: MissingGenotypes = MissingGenotypes(),
    threads: int = 1,
) -> SampleScores:
    """The scores of some samples: sum over variants of weight x copies of the effect allele (dominant: carried at all;
    recessive: carried twice; of a dosage d min(1, d) and max(0, d - 1)).

    A man's one X chromosome counts as his file codes it, two copies or none, as in plink2 with its default --xchr-model 2. No
    frequency is ever taken from the samples. Only variants that some score uses are read.

    Args:
        genotypes: the file.
        matches: the scores matched to this file.
        samples: places in the file's samples, increasing.
        missing: what a missing genotype counts.
        threads: each takes a range of samples; they do not change a figure.

    Raises:
        BadInput: the file is cut short.
    """  # noqa: D205
    used = [match.used["variant"].to_numpy() for match in matches]
    wanted = _union(used)
    rows: list[Integers] = []
    for place, one in enumerate(used):  # scores of the same variants share one array
        same = place > 0 and np.array_equal(one, used[place - 1])
        rows.append(rows[-1] if same else np.searchsorted(wanted, one))
    frequencies = [missing.of_match(place, match) for place, match in enumerate(matches)]
    scores = [
        _score_column(match.used, where, frequency, missing.imputation)
        for match, where, frequency in zip(matches, rows, frequencies, strict=True)
    ]
    counted = _Sets()
    absent = [counted.place(where) for where in rows]
    left_out = [
        counted.place(where[np.isnan(frequency)]) for where, frequency in zip(rows, frequencies, strict=True)
    ]
    sums = Sums(scores, counted.sets, samples=len(samples), threads=threads)
    for block in genotypes.blocks(samples=samples, variants=wanted):
        sums.add(block)
    counts = sums.counts
    sizes = np.array([match.used.height for match in matches], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = sums.values * (sizes / (sizes - counts[:, left_out]))
    values = np.where(counts[:, absent] < sizes, scaled, np.nan)
    return SampleScores(values, counts[:, absent].sum(axis=0))


class _Sets:
    """Sets of variants among which missing genotypes are counted, each once."""

    def __init__(self) -> None:
        self.sets: list[Integers] = []
        self._known: dict[bytes, int] = {}

    def place(self, rows: Integers) -> int:
        key = np.packbits(np.bincount(rows).astype(bool)).tobytes() if len(rows) else b""
        if key not in self._known:
            self._known[key] = len(self.sets)
            self.sets.append(rows)
        return self._known[key]


def _score_column(used: pl.DataFrame, rows: Integers, frequency: Floats, imputation: str) -> Column:
    weights = used["weight"].to_numpy()
    effect_is_a1 = used["effect_is_a1"].to_numpy()
    modes = used["mode"].cast(pl.String)
    dominant, recessive = (modes == "dominant").to_numpy(), (modes == "recessive").to_numpy()

    def states(part: slice) -> Floats:
        copies = np.where(effect_is_a1[part, None], COPIES, 2 - COPIES)
        one, two = dominant[part, None], recessive[part, None]
        counted = np.where(one, np.minimum(copies, 1), np.where(two, np.maximum(copies - 1, 0), copies))
        expected = _expected(frequency[part], one[:, 0], two[:, 0], imputation)
        counted[:, NOT_CALLED] = np.nan_to_num(expected)
        return counted

    return Column(rows, weights, states, scale_for(2 * np.abs(weights).sum()))


def _expected(
    frequency: Floats, dominant: NDArray[np.bool_], recessive: NDArray[np.bool_], imputation: str
) -> Floats:
    """What a missing genotype counts, shape (rows,); NaN where the frequency is not known."""
    if imputation == HARDY_WEINBERG:
        carried, twice = 1 - (1 - frequency) ** 2, frequency**2
    else:
        carried = twice = frequency
    return np.where(dominant, carried, np.where(recessive, twice, 2 * frequency))


def _union(places: Sequence[Integers]) -> Integers:
    if not places or all(one is places[0] for one in places[1:]):
        return np.unique(places[0]) if places else np.empty(0, np.int64)
    largest = max((int(one.max()) for one in places if len(one)), default=-1)
    inside = np.zeros(largest + 1, dtype=bool)
    for one in places:
        inside[one] = True
    return np.flatnonzero(inside)
