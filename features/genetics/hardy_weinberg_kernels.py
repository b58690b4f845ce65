"""The exact test of Hardy-Weinberg proportions, compiled."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TIE = 1 + 2.0**-40  # probabilities this near count as equal; they differ by rounding alone
_NEGLIGIBLE = 1e-18


@njit(nogil=True, cache=True)
def _relative(homozygous: int, heterozygous: int, other: int, towards: int) -> float:
    """Probability of `towards` heterozygotes over that of `heterozygous`, given the allele counts."""
    ratio = 1.0
    while heterozygous > towards:
        homozygous += 1
        other += 1
        ratio *= heterozygous * (heterozygous - 1.0) / (4.0 * homozygous * other)
        heterozygous -= 2
    while heterozygous < towards:
        heterozygous += 2
        ratio *= 4.0 * homozygous * other / (heterozygous * (heterozygous - 1.0))
        homozygous -= 1
        other -= 1
    return ratio


@njit(nogil=True, cache=True)
def _side(homozygous: int, heterozygous: int, other: int, step: int, observed: float) -> tuple[float, float]:
    """Add up probabilities relative to the start, away from it: of everything, and of what is not likelier than observed."""
    everything = 0.0
    as_rare = 0.0
    ratio = 1.0
    while True:
        if step < 0:
            if heterozygous < 2:
                break
            homozygous += 1
            other += 1
            ratio *= heterozygous * (heterozygous - 1.0) / (4.0 * homozygous * other)
        else:
            if homozygous < 1 or other < 1:
                break
            ratio *= 4.0 * homozygous * other / ((heterozygous + 2.0) * (heterozygous + 1.0))
            homozygous -= 1
            other -= 1
        heterozygous += step
        everything += ratio
        if ratio <= observed * _TIE:
            as_rare += ratio
            if ratio < observed * _NEGLIGIBLE or ratio == 0.0:
                break
    return everything, as_rare


@njit(nogil=True, cache=True)
def exact_p(homozygous: int, heterozygous: int, other: int) -> float:
    """Probability of a split of the alleles into genotypes that is as improbable as the observed one, or more.

    Source: Wigginton, Cutler, Abecasis, American Journal of Human Genetics 2005, 76:887-893, doi 10.1086/429864. The sum
    starts at the likeliest number of heterozygotes, so that its cost grows with the square root of the people.

    Args:
        homozygous: people with two copies of one allele.
        heterozygous: people with one of each.
        other: people with two copies of the other allele.

    Returns:
        Between 0 and 1; NaN without people.
    """
    people = homozygous + heterozygous + other
    if people == 0:
        return np.nan
    first, second = 2 * homozygous + heterozygous, 2 * other + heterozygous
    likeliest = int(first * (second / (2.0 * people)))
    likeliest += (likeliest ^ first) & 1
    likeliest = min(likeliest, first, second)
    start, end = (first - likeliest) // 2, (second - likeliest) // 2
    observed = _relative(start, likeliest, end, heterozygous)
    fewer, rare_fewer = _side(start, likeliest, end, -2, observed)
    more, rare_more = _side(start, likeliest, end, 2, observed)
    as_rare = rare_fewer + rare_more + (1.0 if observed * _TIE >= 1.0 else 0.0)
    p: float = as_rare / (1.0 + fewer + more)
    return min(1.0, p)


@njit(nogil=True, cache=True)
def exact_p_values(counts: NDArray[np.int64], start: int, stop: int, found: NDArray[np.float64]) -> None:
    """Write `exact_p` of variants `start` to `stop`; `counts` are two copies, one, none, shape (variants, 3)."""
    for variant in range(start, stop):
        found[variant] = exact_p(counts[variant, 0], counts[variant, 1], counts[variant, 2])
