"""The null "continuum": the shape of the patients in few dimensions, curves included, with the valleys between groups filled."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from experiments.stratification.bridges import SHALLOW, Components, fill_valleys
from models.clustering.reduction import FEW_COLUMNS, components_above_noise

Floats = NDArray[np.float64]

SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every covariance
MOST_COMPONENTS = 10
PATIENCE = 2  # further components tried after the smallest AIC
DIMENSIONS = (2, 4, 8)  # leading principal components that may hold the shape
MOST_PLAIN = 30  # columns up to which a mixture along the columns themselves is tried
SEPARATING = 2  # directions that separate components best, along which a curve is followed
QUANTILES = 201
SIMULATED = 20_000  # patients of the fitted mixture, for the quantiles of its columns


@dataclass(frozen=True)
class Continuum:
    """One group of the patients' shape.

    Attributes:
        components: in the leading dimensions, valleys filled.
        axes: shape (columns, columns); the leading dimensions first.
        rest: standard deviations of the other dimensions.
        quantiles: shape (columns, QUANTILES), of the mixture as it was fitted, before valleys were filled: what turns a drawn
            number into a share of the column's own values.
        two_modes: columns in which the fitted mixture itself has more than one mode.
        groups: parts that a valley stood between.
        around: shape (patients or 1, columns), what columns that are not drawn say of each patient.
    """

    components: Components
    axes: Floats
    rest: Floats
    quantiles: Floats
    two_modes: tuple[bool, ...]
    groups: int
    around: Floats

    def draw(self, patients: int, generator: np.random.Generator) -> Floats:
        """Return shares of each column's own values, shape (patients, columns), between 0 and 1."""
        columns = self.around + _columns(self.components, self.axes, self.rest, patients, generator)
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


def continuum_of(values: Floats, seed: int, kept: Floats | None = None) -> Continuum:
    """Return the continuum nearest to the patients.

    A Gaussian mixture is fitted to the leading principal components, or to all columns, whichever number of dimensions,
    components and kind of covariance has the smallest AIC for all columns together; the other dimensions are independent
    Gaussians. AIC, because BIC follows a curve with too few components, and what too many tear apart is filled again. Where the
    density falls along every ridge between two groups of components (Ray and Lindsay 2005, doi 10.1214/009053605000000417),
    further components along the highest ridge fill the valley up to the lower peak. A curve has no such
    valley and stays as it is, whatever two halves of it look like from one side.

    Args:
        values: shape (patients, columns), of SD about 1 and without missing values.
        seed: of the fits.
        kept: shape (patients, kept), scores of columns that stay as they are; the shape is that of what they do not explain.
    """
    around = np.zeros((1, values.shape[1]))
    if kept is not None and kept.shape[1]:
        around = kept @ np.linalg.lstsq(kept, values, rcond=None)[0]
        values = values - around
    with threadpool_limits(limits=1):
        found = _without_noise(_best_shape(values, seed), len(values))
    fitted, axes, rest = found.fitted, found.axes, found.rest
    filled, groups = fill_valleys(fitted)
    generator = np.random.default_rng(seed)
    simulated = _columns(fitted, axes, rest, SIMULATED, generator)
    simulated += around[generator.integers(len(around), size=SIMULATED)]
    quantiles = np.quantile(simulated, np.linspace(0.0, 1.0, QUANTILES), axis=0).T
    modes = tuple(_has_two_modes(axes[place], fitted, rest) for place in range(len(axes)))
    return Continuum(filled, axes, rest, quantiles, modes, groups, around)


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


def _without_noise(shape: _Shape, rows: int) -> _Shape:
    """Return the shape with one spread for all the other directions that carry no more than noise.

    Patients drawn with the spreads of a sample hold its noise twice, and what was noise stands out of it.
    """
    leading = shape.fitted.means.shape[1]
    if len(shape.axes) <= FEW_COLUMNS or len(shape.rest) < 2:
        return shape
    across = shape.axes[:, leading:] * shape.rest
    directions, spreads, _ = np.linalg.svd(across, full_matrices=False)
    variances = spreads**2
    number = components_above_noise(variances, directions, rows)
    variances[number:] = variances[number:].mean()
    axes = np.hstack([shape.axes[:, :leading], directions])
    return replace(shape, axes=axes, rest=np.sqrt(variances))


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
    """Return the smallest AIC over the number of components, and that mixture."""
    best: tuple[float, Components] | None = None
    at = 0
    for k in range(1, min(MOST_COMPONENTS, len(points) // 15) + 1):
        criterion, found = _fitted(points, k, kind, seed)
        if best is None or criterion < best[0]:
            best, at = (criterion, found), k
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
