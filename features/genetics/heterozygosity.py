"""Samples with more or fewer heterozygous genotypes than their ancestry explains: contamination, failed calls, consanguinity."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.genetics.common import PooledGenotypes
from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES
from features.genetics.relatedness import Planes
from features.genetics.threads import over_ranges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COMPONENTS = 4  # of ancestry, from which heterozygosity is predicted
MOST_VARIANTS = 1000  # for these components; they need to tell continents, not countries
FEWEST_PEOPLE, FEWEST_VARIANTS = 30, 100  # fewer: no outlier can be told
FEWEST_ADJUSTED = 200  # people of a file from which heterozygosity is predicted from ancestry
_NORMAL = 1.482602218505602  # standard deviations a median absolute deviation of a normal distribution
_COPIES = np.array([2.0, np.nan, 1.0, 0.0], dtype=np.float32)
assert (TWO_COPIES, NOT_CALLED, ONE_COPY, NO_COPY) == (0, 1, 2, 3)


def inbreeding(planes: Planes, frequencies: Floats, people: slice, *, threads: int = 1) -> Floats:
    """Estimate F of each sample: (observed - expected homozygotes) / (variants called - expected), as plink2 --het.

    Args:
        planes: genotypes at variants of the autosomes.
        frequencies: of one allele of each variant among these samples, shape (variants,).
        people: which samples.
        threads: share out the samples.

    Returns:
        Shape (samples,); NaN where nothing is called.
    """
    from features.genetics.relatedness_kernels import expected_heterozygous, heterozygous_counts

    bits = planes.bits[people]
    counts = np.empty((len(bits), 2), dtype=np.int64)
    over_ranges(
        lambda start, stop: heterozygous_counts(bits[start:stop], counts[start:stop]),
        len(bits),
        threads=threads,
    )
    rates = 2 * frequencies * (1 - frequencies)
    expected = np.empty(len(bits))
    over_ranges(
        lambda start, stop: expected_heterozygous(bits, rates, start, stop, expected),
        len(bits),
        threads=threads,
    )
    f: Floats = np.divide(
        expected - counts[:, 0],
        expected,
        out=np.full(len(bits), np.nan),
        where=(expected > 0) & (counts[:, 1] > 0),
    )
    return f


def ancestry_components(pooled: PooledGenotypes, variants: Integers) -> Floats:
    """Return rough principal components of all pooled samples, shape (samples, COMPONENTS).

    They serve to predict heterozygosity alone. Genotypes are standardised by their frequency (Patterson, Price, Reich, PLoS
    Genetics 2006, 2:e190), missing ones are the mean.

    Args:
        pooled: the genotypes.
        variants: places of the variants; at most MOST_VARIANTS of them, spread evenly, are used.
    """
    from features.genetics.pruning import spread

    chosen = spread(variants, MOST_VARIANTS)
    rows = np.concatenate(pooled.rows)
    standardised = np.empty((len(chosen), len(rows)), dtype=np.float32)
    for place, variant in enumerate(chosen):
        codes = pooled.packed[variant, rows >> 2] >> (2 * (rows & 3)).astype(np.uint8) & 3
        copies = _COPIES[codes]
        mean = np.nanmean(copies) if (codes != NOT_CALLED).any() else 0.0
        spread_of = np.sqrt(max(float(mean / 2 * (1 - mean / 2)), 1e-12))
        standardised[place] = np.nan_to_num((copies - mean) / spread_of)
    with threadpool_limits(1):
        if len(rows) < len(chosen):
            scores = _leading(standardised.T @ standardised)
        else:
            scores = standardised.T @ _leading(standardised @ standardised.T)
    width = np.maximum(scores.std(axis=0), 1e-12)
    return np.asarray(scores / width, dtype=np.float64)


def _leading(products: NDArray[np.float32]) -> Floats:
    """The eigenvectors of the greatest eigenvalues, one a column."""
    return np.asarray(np.linalg.eigh(products.astype(np.float64))[1][:, ::-1][:, :COMPONENTS])


def distances(f: Floats, components: Floats) -> Floats:
    """Return how many standard deviations each sample's F lies from what its ancestry lets expect.

    Frequencies are those of a whole file, so that F is higher in people of a rarer ancestry, and lower in people of mixed
    ancestry, without any fault of the sample: a plain limit would leave out minorities. F is therefore predicted from the
    components, their squares and products, as UK Biobank does (Bycroft et al., Nature 2018, 562:203-209, supplement 3.5.2), by
    least squares repeated without outliers. Centre and standard deviation are the median and 1.48 median absolute deviations,
    which outliers do not move. With fewer than FEWEST_ADJUSTED samples F is taken as it is.

    Args:
        f: of the samples of one file, shape (samples,), NaN where not known.
        components: of the same samples, shape (samples, COMPONENTS).

    Returns:
        Shape (samples,); NaN where F is, and for all in files of fewer than FEWEST_PEOPLE.
    """
    known = np.isfinite(f)
    if known.sum() < FEWEST_PEOPLE:
        return np.full(len(f), np.nan)
    residuals = f - np.nanmedian(f)
    if known.sum() >= FEWEST_ADJUSTED:
        count = components.shape[1]
        products = [
            components[:, one] * components[:, other] for one in range(count) for other in range(one, count)
        ]
        predictors = np.column_stack([np.ones(len(f)), components, *products])
        fitted = known
        with threadpool_limits(1):  # the same bytes on any number of cores
            for _ in range(3):
                weights = np.linalg.lstsq(predictors[fitted], f[fitted], rcond=None)[0]
                residuals = f - predictors @ weights
                fitted = known & (np.abs(_scaled(residuals)) < 4)
    return np.round(_scaled(residuals), 6)


def _scaled(values: Floats) -> Floats:
    centre = np.nanmedian(values)
    width = _NORMAL * np.nanmedian(np.abs(values - centre))
    return (values - centre) / max(float(width), 1e-12)
