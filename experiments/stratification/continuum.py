"""The null "continuum": the shape of the patients in few dimensions, curves included, with the valleys between groups filled."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every covariance
MOST_COMPONENTS = 10
PATIENCE = 2  # further components tried after the best BIC
DIMENSIONS = (2, 4, 8)  # leading principal components that may hold the shape
MOST_PLAIN = 30  # columns up to which a mixture along the columns themselves is tried
SHALLOW = 0.98  # a ridge this high over the lower peak has no valley
STEPS = 25  # places along a ridge
APART = 1.5  # standard deviations between bridging components
STRETCHED = 0.5  # variance along the ridge that a bridging component has beside that of its ends
SEPARATING = 2  # directions that separate components best, along which a curve is followed
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


@dataclass(frozen=True)
class _Shape:
    """A fitted mixture in the leading coordinates, its criterion for all columns, axes (columns, columns) and SDs of the rest."""

    criterion: float
    fitted: Components
    axes: Floats
    rest: Floats


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
    with threadpool_limits(limits=1):
        found = _best_shape(values, seed)
    fitted, axes, rest = found.fitted, found.axes, found.rest
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
    """Return `made` with components along a ridge, as heavy as it takes for the density not to fall below the lower peak."""
    path = ridge(fitted, one, other)
    inverse = np.linalg.inv((fitted.covariances[one] + fitted.covariances[other]) / 2)
    legs = np.diff(path, axis=0)
    lengths = np.sqrt(np.einsum("si,ij,sj->s", legs, inverse, legs))
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    number = max(1, round(float(along[-1]) / APART) - 1)
    shares = np.searchsorted(along, along[-1] * np.arange(1, number + 1) / (number + 1)) / (len(path) - 1)
    means, covariances = [], []
    for share in shares:
        place = round(share * (len(path) - 1))
        leg = path[min(place + 1, len(path) - 1)] - path[place - 1]
        leg = leg / np.sqrt(leg @ inverse @ leg)
        across = np.linalg.inv(
            (1 - share) * np.linalg.inv(fitted.covariances[one])
            + share * np.linalg.inv(fitted.covariances[other])
        )
        means.append(path[place])
        covariances.append(across + np.outer(leg, leg) * STRETCHED)
    bridge = Components(np.zeros(number), np.stack(means), np.stack(covariances))
    wanted = float(fitted.density(fitted.means[[one, other]]).min())
    own, weights = bridge.densities(path), np.zeros(number)
    there = made.density(path)
    nearest = own.argmax(axis=0)
    for _ in range(ROUNDS):
        lacking = np.maximum(wanted - there - own @ weights, 0.0)
        if lacking.max() < 0.02 * wanted:
            break
        weights += lacking[nearest] / own[nearest, np.arange(number)]
    return _joined(made, Components(weights, bridge.means, bridge.covariances))


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


def _best_shape(values: Floats, seed: int) -> _Shape:
    """Return the shape with the smallest criterion: along principal components, columns, or directions that separate components."""
    d = values.shape[1]
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(centred, rowvar=False).reshape(d, d))
    order = np.argsort(-variances)
    principal = directions[:, order] * np.sqrt(np.maximum(variances[order], SMALLEST_VARIANCE))
    found = [
        _shape(centred, principal, leading, kind, seed)
        for leading in sorted({min(number, d) for number in DIMENSIONS})
        for kind in ("tied", "full")
    ]
    if d <= MOST_PLAIN:
        found += [_shape(centred, np.eye(d), d, kind, seed) for kind in ("diag", "tied")]
    best = min(found, key=lambda shape: shape.criterion)
    if len(best.fitted.weights) > 1 and d > SEPARATING:
        axes = _separating_axes(best)
        found = [_shape(centred, axes, SEPARATING, kind, seed) for kind in ("tied", "full")]
        best = min([best, *found], key=lambda shape: shape.criterion)
    return best


def _separating_axes(shape: _Shape) -> Floats:
    """Return axes of which the first tell the components apart best, shape (columns, columns).

    A curve in two of many columns is seen by few components, which tell where it lies; along those directions alone it can be
    followed by many.
    """
    d, leading = len(shape.axes), shape.fitted.means.shape[1]
    means = np.zeros((len(shape.fitted.weights), d))
    means[:, :leading] = shape.fitted.means
    means -= shape.fitted.weights @ means
    within = np.diag(np.concatenate([np.zeros(leading), shape.rest**2]))
    within[:leading, :leading] = np.einsum("k,kij->ij", shape.fitted.weights, shape.fitted.covariances)
    root = np.linalg.cholesky(within)
    scaled = np.linalg.solve(root, means.T)
    directions = np.linalg.svd(scaled * np.sqrt(shape.fitted.weights), full_matrices=True)[0]
    return np.asarray(shape.axes @ root @ directions, dtype=np.float64)


def _shape(centred: Floats, axes: Floats, leading: int, kind: str, seed: int) -> _Shape:
    """Return the best mixture in the leading coordinates, the others independent Gaussians."""
    n, d = centred.shape
    points: Floats = np.asarray(np.linalg.solve(axes, centred.T).T, dtype=np.float64)
    criterion, fitted = _by_criterion(points[:, :leading], kind, seed)
    rest = points[:, leading:]
    if rest.shape[1]:
        variances, directions = np.linalg.eigh(np.cov(rest, rowvar=False).reshape(d - leading, d - leading))
        spread = np.sqrt(np.maximum(variances, SMALLEST_VARIANCE))
        axes = np.hstack([axes[:, :leading], axes[:, leading:] @ directions])
    else:
        spread = np.empty(0)
    free = (d - leading) * (d - leading + 1) / 2 + leading * (d - leading)
    criterion += n * np.log(2 * np.pi * np.e * spread**2).sum() + free * 2
    criterion += 2 * n * np.linalg.slogdet(axes)[1]
    return _Shape(float(criterion), fitted, axes, spread)


def _by_criterion(points: Floats, kind: str, seed: int) -> tuple[float, Components]:
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
    if kind == "tied":
        covariances = np.stack([covariances] * k)
    return float(model.aic(points)), Components(model.weights_, model.means_, covariances)
