"""The null "continuum": the shape of the patients in few dimensions, curves included, with the valleys between groups filled."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every covariance
MOST_COMPONENTS = 10
PATIENCE = 2  # further components tried after the best BIC
DIMENSIONS = (2, 4, 8)  # leading principal components that may hold the shape
MOST_PLAIN = 30  # columns up to which a mixture along the columns themselves is tried
SHALLOW = 0.98  # a ridge this high over the lower peak has no valley
STEPS = 25  # places along a ridge
APART = 1.5  # standard deviations between bridging components
ROUNDS = 20
QUANTILES = 201
SIMULATED = 20_000  # patients of the fitted mixture, for the quantiles of its columns


@dataclass(frozen=True)
class Components:
    """A mixture of Gaussians: weights (k,), means (k, d), covariances (k, d, d)."""

    weights: Floats
    means: Floats
    covariances: Floats

    def densities(self, points: Floats) -> Floats:
        """Return each component's own density at the points, shape (points, k)."""
        columns = []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            root = np.linalg.cholesky(covariance)
            scaled = np.linalg.solve(root, (points - mean).T)
            constant = np.log(np.diagonal(root)).sum() + len(mean) / 2 * np.log(2 * np.pi)
            columns.append(np.exp(-(scaled**2).sum(axis=0) / 2 - constant))
        return np.column_stack(columns)

    def density(self, points: Floats) -> Floats:
        """Return the density, shape (points,)."""
        return np.asarray(self.densities(points) @ self.weights, dtype=np.float64)

    def draw(self, patients: int, generator: np.random.Generator) -> Floats:
        """Return points, shape (patients, d)."""
        labels = generator.choice(len(self.weights), size=patients, p=self.weights)
        normal = generator.standard_normal((patients, self.means.shape[1]))
        points = np.empty_like(normal)
        for label, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            rows = labels == label
            points[rows] = mean + normal[rows] @ np.linalg.cholesky(covariance).T
        return points


@dataclass(frozen=True)
class Continuum:
    """One group of the patients' shape.

    Attributes:
        components: in the leading dimensions, valleys filled.
        axes: shape (columns, columns), orthonormal; the leading dimensions first.
        rest: standard deviations of the other dimensions.
        quantiles: shape (columns, QUANTILES), of the mixture as it was fitted, before valleys were filled: what turns a drawn
            number into a share of the column's own values.
        two_modes: columns in which the fitted mixture itself has more than one mode.
        groups: parts that a valley stood between.
    """

    components: Components
    axes: Floats
    rest: Floats
    quantiles: Floats
    two_modes: tuple[bool, ...]
    groups: int

    def draw(self, patients: int, generator: np.random.Generator) -> Floats:
        """Return shares of each column's own values, shape (patients, columns), between 0 and 1."""
        columns = _columns(self.components, self.axes, self.rest, patients, generator)
        shares = np.linspace(0.0, 1.0, QUANTILES)
        return np.column_stack(
            [np.interp(values, self.quantiles[place], shares) for place, values in enumerate(columns.T)]
        )


def continuum_of(values: Floats, seed: int) -> Continuum:
    """Return the continuum nearest to the patients.

    A Gaussian mixture is fitted to the leading principal components, or to all columns, whichever number of dimensions,
    components and kind of covariance has the smallest BIC for all columns together; the other components are independent
    Gaussians. Where the density falls along every ridge between two groups of components (Ray and Lindsay 2005, doi
    10.1214/009053605000000417), further components along the highest ridge fill the valley up to the lower peak. A curve has no such
    valley and stays as it is, whatever two halves of it look like from one side.

    Args:
        values: shape (patients, columns), of SD about 1 and without missing values.
        seed: of the fits.
    """
    fitted, axes, rest = _best_mixture(values, seed)
    filled, groups = fill_valleys(fitted)
    generator = np.random.default_rng(seed)
    simulated = _columns(fitted, axes, rest, SIMULATED, generator)
    quantiles = np.quantile(simulated, np.linspace(0.0, 1.0, QUANTILES), axis=0).T
    modes = tuple(_has_two_modes(axes[place], fitted, rest) for place in range(len(axes)))
    return Continuum(filled, axes, rest, quantiles, modes, groups)


def fill_valleys(fitted: Components) -> tuple[Components, int]:
    """Return the mixture with bridging components, and how many groups had a valley between them.

    Components are joined by the tree of highest ridges; every edge of it that falls below the lower peak is filled. Where all
    edges are level, the mixture stays as it is.
    """
    k = len(fitted.weights)
    if k == 1:
        return fitted, 1
    heights = np.zeros((k, k))
    for one in range(k):
        for other in range(one + 1, k):
            heights[one, other] = heights[other, one] = _height(fitted, ridge(fitted, one, other))
    edges = [edge for edge in _highest_tree(heights) if heights[edge] < SHALLOW]
    made = fitted
    for one, other in edges:
        made = _bridged(made, fitted, one, other)
    return made, 1 + len(edges)


def ridge(mixture: Components, one: int, other: int, steps: int = STEPS) -> Floats:
    """Return places from one mean to another along which both components fall as slowly as possible, shape (steps, d)."""
    first, second = np.linalg.inv(mixture.covariances[one]), np.linalg.inv(mixture.covariances[other])
    pulls = first @ mixture.means[one], second @ mixture.means[other]
    return np.stack(
        [
            np.linalg.solve((1 - share) * first + share * second, (1 - share) * pulls[0] + share * pulls[1])
            for share in np.linspace(0.0, 1.0, steps)
        ]
    )


def _height(mixture: Components, places: Floats) -> float:
    """Return the lowest density along a ridge over the lower of the peaks on its two sides."""
    density = mixture.density(places)
    lowest = int(density.argmin())
    return float(density[lowest] / min(density[: lowest + 1].max(), density[lowest:].max()))


def _highest_tree(heights: Floats) -> Iterator[tuple[int, int]]:
    """Yield the edges of the spanning tree that keeps to the highest ridges (Prim)."""
    inside, outside = [0], list(range(1, len(heights)))
    while outside:
        one, other = max(
            ((a, b) for a in inside for b in outside), key=lambda edge: (heights[edge], -edge[0], -edge[1])
        )
        inside.append(other)
        outside.remove(other)
        yield one, other


def _bridged(made: Components, fitted: Components, one: int, other: int) -> Components:
    """Return `made` with components along the ridge, as heavy as it takes for the density not to fall below the lower peak."""
    covariances = fitted.covariances[one], fitted.covariances[other]
    inverse = np.linalg.inv((covariances[0] + covariances[1]) / 2)
    across = fitted.means[other] - fitted.means[one]
    number = max(1, round(float(np.sqrt(across @ inverse @ across)) / APART) - 1)
    shares = np.arange(1, number + 1) / (number + 1)
    means = fitted.means[one] + shares[:, None] * across
    between = np.stack([(1 - share) * covariances[0] + share * covariances[1] for share in shares])
    bridge = Components(np.ones(number), means, between)
    places = np.vstack([ridge(fitted, one, other), means])
    peaks = fitted.density(fitted.means[[one, other]])
    wanted = float(peaks.min())
    there, own = made.density(means), bridge.densities(means)
    weights = np.zeros(number)
    for _ in range(ROUNDS):
        lacking = np.maximum(wanted - there - own @ weights, 0.0)
        if lacking.max() < 0.01 * wanted:
            break
        weights += lacking / np.maximum(np.diagonal(own), 1e-300)
    del places
    return _joined(made, Components(weights, means, between))


def _joined(first: Components, second: Components) -> Components:
    """Return both mixtures as one; its weights sum to more than 1 until they are scaled."""
    return Components(
        np.concatenate([first.weights, second.weights]),
        np.vstack([first.means, second.means]),
        np.concatenate([first.covariances, second.covariances]),
    )


def _columns(
    components: Components, axes: Floats, rest: Floats, patients: int, generator: np.random.Generator
) -> Floats:
    scaled = Components(
        components.weights / components.weights.sum(), components.means, components.covariances
    )
    points = np.hstack(
        [scaled.draw(patients, generator), generator.standard_normal((patients, len(rest))) * rest]
    )
    return np.asarray(points @ axes.T, dtype=np.float64)


def _has_two_modes(loadings: Floats, fitted: Components, rest: Floats) -> bool:
    """Return whether the mixture's density along one column falls and rises again."""
    leading = loadings[: fitted.means.shape[1]]
    noise = float((loadings[fitted.means.shape[1] :] ** 2 * rest**2).sum())
    means = fitted.means @ leading
    spread = np.sqrt(np.einsum("i,kij,j->k", leading, fitted.covariances, leading) + noise)
    grid = np.linspace((means - 3 * spread).min(), (means + 3 * spread).max(), 200)
    density = (fitted.weights / spread * np.exp(-(((grid[:, None] - means) / spread) ** 2) / 2)).sum(axis=1)
    rising = np.maximum.accumulate(density)
    falling = np.maximum.accumulate(density[::-1])[::-1]
    return bool((density < SHALLOW * np.minimum(rising, falling)).any())


def _best_mixture(values: Floats, seed: int) -> tuple[Components, Floats, Floats]:
    """Return the mixture with the smallest BIC over all columns, the axes, and the SDs of the dimensions left out."""
    n, d = values.shape
    variances, directions = np.linalg.eigh(np.cov(values, rowvar=False).reshape(d, d))
    variances, directions = np.clip(variances[::-1], SMALLEST_VARIANCE, None), directions[:, ::-1]
    middle = values.mean(axis=0)
    points = (values - middle) @ directions
    rotation = d * (d - 1) / 2  # axes along the data's own directions are parameters too
    best: tuple[float, Components, Floats, Floats] | None = None
    for leading in sorted({min(number, d) for number in DIMENSIONS}):
        rest = variances[leading:]
        base = n * np.log(2 * np.pi * np.e * rest).sum() + (len(rest) + rotation) * np.log(n)
        for kind in ("diag", "full"):
            bic, found = _by_bic(points[:, :leading], kind, seed)
            if best is None or bic + base < best[0]:
                best = (bic + base, found, directions, np.sqrt(rest))
    if d <= MOST_PLAIN:
        bic, found = _by_bic(values - middle, "diag", seed)
        if best is None or bic < best[0]:
            best = (bic, found, np.eye(d), np.empty(0))
    if best is None:
        raise ValueError("a continuum needs a column")
    return best[1:]


def _by_bic(points: Floats, kind: str, seed: int) -> tuple[float, Components]:
    """Return the smallest BIC over the number of components, and that mixture."""
    best: tuple[float, Components] | None = None
    at = 0
    for k in range(1, min(MOST_COMPONENTS, len(points) // 15) + 1):
        bic, found = _fitted(points, k, kind, seed)
        if best is None or bic < best[0]:
            best, at = (bic, found), k
        elif k - at >= PATIENCE:
            break
    if best is None:
        raise ValueError("a continuum needs 15 patients")
    return best


def _fitted(points: Floats, k: int, kind: str, seed: int) -> tuple[float, Components]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        n_components=k, covariance_type=kind, reg_covar=SMALLEST_VARIANCE, random_state=seed % 2**31
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the best step so far is a mixture all the same
        model.fit(points)
    covariances = model.covariances_
    if kind == "diag":
        covariances = np.stack([np.diag(row) for row in covariances])
    return float(model.bic(points)), Components(model.weights_, model.means_, covariances)
