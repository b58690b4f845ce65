"""Sum weights over alleles in one pass over the genotypes, many scores at once, without looking at any other sample.

What every genotype adds to every score is scaled to whole numbers of 62 bits and added up exactly: a sample's score is the same
to the last bit alone or in a batch, whatever the blocks that the file is read in, the order of variants or the number of
threads. Dosages are added in double precision, variant by variant in the order of the file.

Expected before it was written: a kernel of 0.5 s for 5,000 x 200,000 x 4, a quarter of plink2's whole process. What came of it
stands in docs/benchmarks.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES, GenotypeBlock, GenotypeFile
from features.genetics.matching import Match
from features.genetics.threads import over_ranges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MEAN, NONE, HARDY_WEINBERG = "mean", "none", "hardy_weinberg"
_COPIES = np.empty(4)
_COPIES[[TWO_COPIES, NOT_CALLED, ONE_COPY, NO_COPY]] = 2, 0, 1, 0
_TABLE_BYTES = 16_000_000
_MOST_BITS = 62  # of 63: the sum of any sample stays within, whatever its genotypes
_LANES = 4
_NOT_CALLED_STATES = np.zeros(4)
_NOT_CALLED_STATES[NOT_CALLED] = 1


@dataclass(frozen=True)
class MissingGenotypes:
    """What a missing genotype counts, with f the frequency of the effect allele.

    `mean`: plink2's mean imputation, 2f; of a dominant row min(1, 2f), of a recessive one max(0, 2f - 1).
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


@dataclass(frozen=True)
class _Column:
    """One sum per sample.

    Attributes:
        rows: places of its variants among those read, increasing.
        weights: by row.
        states: for a part of the rows, what a genotype counts by its code, shape (rows, 4).
        scale: a power of two that makes whole numbers of weights times states.
    """

    rows: Integers
    weights: Floats
    states: Callable[[slice], Floats]
    scale: float


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
    rows = [np.searchsorted(wanted, one) for one in used]
    frequencies = [missing.of_match(place, match) for place, match in enumerate(matches)]
    scores = [
        _score_column(match.used, where, frequency, missing.imputation)
        for match, where, frequency in zip(matches, rows, frequencies, strict=True)
    ]
    counters = _Counters()
    absent = [counters.of(where) for where in rows]
    left_out = [
        counters.of(where[np.isnan(frequency)]) for where, frequency in zip(rows, frequencies, strict=True)
    ]
    sums = _sums(genotypes, [*scores, *counters.columns], samples=samples, variants=wanted, threads=threads)
    counts = sums[:, len(scores) :]
    sizes = np.array([match.used.height for match in matches], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = sums[:, : len(scores)] * (sizes / (sizes - counts[:, left_out]))
    values = np.where(counts[:, absent] < sizes, scaled, np.nan)
    return SampleScores(values, counts[:, absent].sum(axis=0).astype(np.int64))


def weighted_sums(
    genotypes: GenotypeFile,
    weights: Floats,
    *,
    places: Integers,
    frequencies: Floats,
    samples: Integers,
    centred: bool = False,
    threads: int = 1,
) -> Floats:
    """The sum over variants of weight x copies of a1, a missing genotype counting 2f: plink2's --score with several columns.

    Args:
        genotypes: the file.
        weights: by variant and column, shape (variants, columns), finite.
        places: the variants in the file, increasing.
        frequencies: f of a1 by variant, between 0 and 1.
        samples: places in the file's samples, increasing.
        centred: count copies - 2f instead (plink2's `center`); divide the weights by sqrt(2f(1 - f)) beforehand for its
            `variance-standardize`.
        threads: each takes a range of samples; they do not change a figure.

    Returns:
        shape (samples, columns).

    Raises:
        BadInput: the file is cut short.
        ValueError: a weight is not finite or a frequency is not between 0 and 1.
    """
    if not (np.isfinite(weights).all() and ((frequencies >= 0) & (frequencies <= 1)).all()):
        raise ValueError("weights must be finite, and frequencies between 0 and 1")
    shift = 2 * frequencies if centred else np.zeros(len(frequencies))

    def states(part: slice) -> Floats:
        counted = np.tile(_COPIES, (part.stop - part.start, 1))
        counted[:, NOT_CALLED] = 2 * frequencies[part]
        return counted - shift[part, None]

    rows = np.arange(len(places))
    columns = [
        _Column(rows, np.ascontiguousarray(column), states, _scale(2 * np.abs(column).sum()))
        for column in np.asarray(weights, dtype=np.float64).T
    ]
    return _sums(genotypes, columns, samples=samples, variants=places, threads=threads)


class _Counters:
    """Columns that count missing genotypes, one for each set of variants."""

    def __init__(self) -> None:
        self.columns: list[_Column] = []
        self._known: dict[bytes, int] = {}

    def of(self, rows: Integers) -> int:
        key = np.packbits(np.bincount(rows).astype(bool)).tobytes() if len(rows) else b""
        if key not in self._known:
            self._known[key] = len(self.columns)
            self.columns.append(_Column(rows, np.ones(len(rows)), _one_where_missing, 1.0))
        return self._known[key]


def _one_where_missing(part: slice) -> Floats:
    return np.tile(_NOT_CALLED_STATES, (part.stop - part.start, 1))


def _score_column(used: pl.DataFrame, rows: Integers, frequency: Floats, imputation: str) -> _Column:
    weights = used["weight"].to_numpy()
    effect_is_a1 = used["effect_is_a1"].to_numpy()
    modes = used["mode"].cast(pl.String)
    dominant, recessive = (modes == "dominant").to_numpy(), (modes == "recessive").to_numpy()

    def states(part: slice) -> Floats:
        copies = np.where(effect_is_a1[part, None], _COPIES, 2 - _COPIES)
        one, two = dominant[part, None], recessive[part, None]
        counted = np.where(one, np.minimum(copies, 1), np.where(two, np.maximum(copies - 1, 0), copies))
        expected = _expected(frequency[part], one[:, 0], two[:, 0], imputation)
        counted[:, NOT_CALLED] = np.nan_to_num(expected)
        return counted

    return _Column(rows, weights, states, _scale(2 * np.abs(weights).sum()))


def _expected(
    frequency: Floats, dominant: NDArray[np.bool_], recessive: NDArray[np.bool_], imputation: str
) -> Floats:
    """What a missing genotype counts, shape (rows,); NaN where the frequency is not known."""
    if imputation == HARDY_WEINBERG:
        carried, twice = 1 - (1 - frequency) ** 2, frequency**2
    else:
        carried, twice = np.minimum(1, 2 * frequency), np.maximum(0, 2 * frequency - 1)
    return np.where(dominant, carried, np.where(recessive, twice, 2 * frequency))


def _scale(most: float) -> float:
    """The power of two by which no sum of absolute size `most` needs more than _MOST_BITS bits."""
    exponent = int(np.frexp(most)[1])
    return float(np.ldexp(1.0, min(_MOST_BITS - exponent, 1000))) if most > 0 else 1.0


def _union(places: Sequence[Integers]) -> Integers:
    if not places or all(one is places[0] for one in places[1:]):
        return np.unique(places[0]) if places else np.empty(0, np.int64)
    largest = max((int(one.max()) for one in places if len(one)), default=-1)
    inside = np.zeros(largest + 1, dtype=bool)
    for one in places:
        inside[one] = True
    return np.flatnonzero(inside)


def _sums(
    genotypes: GenotypeFile,
    columns: Sequence[_Column],
    *,
    samples: Integers,
    variants: Integers,
    threads: int,
) -> Floats:
    """The columns' sums, shape (samples, columns)."""
    tiles = -(-len(columns) // _LANES)
    whole = np.zeros((tiles, 4 * -(-len(samples) // 4), _LANES), dtype=np.int64)
    fraction = np.zeros(whole.shape if genotypes.holds_dosages else (tiles, 0, _LANES))
    width = max(4, _TABLE_BYTES // (128 * max(1, tiles)) // 4 * 4)
    for block in genotypes.blocks(samples=samples, variants=variants):
        for start in range(block.part.start, block.part.stop, width):
            part = slice(start, min(start + width, block.part.stop))
            inside = slice(part.start - block.part.start, part.stop - block.part.start)
            _add(block, inside, _table(columns, part), (whole, fraction), threads)
    scales = np.array([column.scale for column in columns])
    total = whole.astype(np.float64)
    if genotypes.holds_dosages:
        total += fraction
    by_sample = total.transpose(1, 0, 2).reshape(total.shape[1], tiles * _LANES)
    return np.asarray(by_sample[: len(samples), : len(columns)] / scales)


def _table(columns: Sequence[_Column], part: slice) -> Integers:
    """What each genotype of some variants adds to each column, as score_kernels.fill describes it."""
    from features.genetics.score_kernels import fill

    variants = part.stop - part.start
    table = np.zeros((-(-len(columns) // _LANES), -(-variants // 4) * 4, 4, _LANES), dtype=np.int64)
    for place, column in enumerate(columns):
        low, high = np.searchsorted(column.rows, (part.start, part.stop))
        rows = slice(int(low), int(high))
        if high > low:
            weights = column.weights[rows] * column.scale
            fill(table, place, column.rows[rows] - part.start, column.states(rows), weights)
    return table


def _add(
    block: GenotypeBlock, inside: slice, table: Integers, sums: tuple[Integers, Floats], threads: int
) -> None:
    """Add some variants of a block to the sums of hard calls or to those of dosages, a range of samples per thread."""
    from features.genetics.score_kernels import add_dosages, add_packed

    if block.packed is not None:
        packed = block.packed[inside]
        over_ranges(
            lambda first, last: add_packed(packed, table, sums[0], first, last),
            packed.shape[1],
            threads=threads,
        )
    elif block.dosages is not None:
        dosages, floats = block.dosages[inside], table.astype(np.float64)
        over_ranges(
            lambda first, last: add_dosages(dosages, floats, sums[1], first, last),
            dosages.shape[1],
            threads=threads,
        )
