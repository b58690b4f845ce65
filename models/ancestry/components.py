"""Principal components of genotypes, fitted on training people.

The eigenvectors of Yᵀ Y / m (Y: m standardised variants by n people) are found by randomised block Krylov iteration: one
pass over the genotypes multiplies a block of vectors, each block is made orthogonal to all before it, and the components
are the best ones within the span of all of them (Halko, Martinsson and Tropp 2011, doi:10.1137/090771806; Musco and Musco
2015, doi:10.48550/arXiv.1504.05477; with genotypes Galinsky et al. 2016, doi:10.1016/j.ajhg.2015.12.022). It ends when the
residuals |Yᵀ Y u / m - λ u| are small against λ. Components that stand apart from the rest converge first; those within
the bulk of the noise hardly differ from each other, so their residuals say that they are not to be read one by one.

Scores are in standard deviations of the training people: the mean square of each component is 1 there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ancestry.genotype_matrix import Blocks, GenotypeMatrix, from_samples
from models.ancestry.krylov import Spectrum, leading_eigenvectors
from models.ancestry.projection import Components
from models.errors import BadTarget

__all__ = ["Blocks", "Components", "FittedComponents", "from_samples", "principal_components"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedComponents:
    """Components with what is known of the people that they were fitted on.

    Attributes:
        components: what is kept.
        scores: of the training people, shape (samples, components).
        residuals: |Yᵀ Y u / m - λ u| / λ of each component, shape (components,).
        passes: how often the genotypes were gone through.
        variance: share of all variance that each component holds, shape (components,).
    """

    components: Components
    scores: Floats
    residuals: Floats
    passes: int
    variance: Floats

    @property
    def frequencies(self) -> Floats:
        """Of a1 in the training people, shape (variants,)."""
        return self.components.frequencies

    @property
    def loadings(self) -> Floats:
        """Shape (variants, components)."""
        return self.components.loadings

    @property
    def eigenvalues(self) -> Floats:
        """Shape (components,)."""
        return self.components.eigenvalues


def principal_components(
    blocks: Blocks,
    *,
    samples: int,
    variants: int,
    components: int = 10,
    seed: int,
    threads: int = 1,
    oversample: int = 6,
    iterations: int = 20,
    tolerance: float = 1e-6,
    least_carriers: int = 11,
) -> FittedComponents:
    """Fit principal components out of core.

    Results are the same bytes for any number of threads and any cut into blocks.

    Args:
        blocks: called once a pass; yields all variants in order, as (which, packed), packed of shape
            (variants of the block, ceil(samples / 4)): two bits a sample, four samples a byte, zeros beyond the last.
        samples: how many people, at least one more than `components`.
        variants: how many variants, thinned so that neighbours are not in linkage disequilibrium.
        components: how many to fit.
        seed: of the vectors to start from.
        threads: to compute with.
        oversample: how many vectors more than components are multiplied in each pass; 16 together fill a register.
        iterations: passes at most, besides one for the loadings.
        tolerance: the largest residual, as a share of the eigenvalue, at which it ends.
        least_carriers: a variant whose rarer allele fewer people carry weighs nothing and leaves no frequency behind.

    Raises:
        BadTarget: there are fewer people or usable variants than components ask for.
    """
    if samples <= components:
        raise BadTarget(
            f"{components} components were asked of {samples} people. Ask for fewer, or leave components out."
        )
    matrix = GenotypeMatrix(
        blocks, samples=samples, variants=variants, least_carriers=max(least_carriers, 1), threads=threads
    )
    spectrum = leading_eigenvectors(
        matrix.gram,
        size=samples,
        wanted=components,
        width=components + oversample,
        iterations=iterations,
        tolerance=tolerance,
        seed=seed,
    )
    if matrix.used <= components or len(spectrum.values) < components:
        raise BadTarget(
            f"{components} components were asked of {matrix.used} usable variants in {samples} people (a variant is usable"
            f" where at least {max(least_carriers, 1)} people carry its rarer allele). Ask for fewer, or give more variants."
        )
    return _assembled(matrix, spectrum, components)


def _assembled(matrix: GenotypeMatrix, spectrum: Spectrum, components: int) -> FittedComponents:
    """Turn eigenvectors into components, with one more pass for the loadings."""
    vectors = spectrum.vectors
    raw = matrix.times(vectors)
    signs = np.where(
        (raw**3).sum(axis=0) < 0, -1.0, 1.0
    )  # most weight on positive loadings, in each refit alike
    lengths = np.sqrt((raw**2).sum(axis=0))
    loadings = (signs * raw / lengths).astype(np.float32).astype(np.float64)
    kept = Components(
        frequencies=matrix.frequencies,
        loadings=loadings,
        eigenvalues=spectrum.values[:components] / matrix.used,
        shrinkage=spectrum.shrinkage(),
        people=matrix.samples,
    )
    return FittedComponents(
        components=kept,
        scores=signs * vectors * np.sqrt(matrix.samples),
        residuals=spectrum.residuals,
        passes=spectrum.passes + 1,
        variance=spectrum.values[:components] / spectrum.total,
    )
