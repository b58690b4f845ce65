"""Which directions of scaled columns may hold strata: what columns have in common, and columns with two groups of their own."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AUTOMATIC, NONE, PRINCIPAL_COMPONENTS = RULES = ("automatic", "none", "principal_components")
FEW_COLUMNS = 5  # so many are kept as they are
PLAIN_COLUMNS = 10  # so many, too, where nothing stands out of noise
FEWEST_DIMENSIONS, MOST_DIMENSIONS = 2, 15
PATIENTS_PER_DIMENSION = 20
HELD_VARIANCE = 0.8  # of the principal components under their own name, at most PLAIN_COLUMNS
TAIL = 0.9793  # 95 % quantile of the Tracy-Widom distribution of real matrices
CUTS, ROUNDS = (0.25, 0.5, 0.75), 15
SMALLEST_SHARE, LEAST_WITHIN = 0.05, 0.02
ROUNDING = 1e-9  # of the largest variance: what less is left is of columns that follow from others
LEAST_LEFT = (
    0.01  # of a column's variance, beside the leading components, for two groups to be looked for in it
)


def axes_of(points: Floats, rule: str) -> Floats:
    """Return orthonormal directions to project centred points on, shape (columns, dimensions).

    none keeps every column. principal_components keeps those that hold 80 % of the variance, at most ten. automatic keeps five
    columns or fewer as they are, and of more the principal components that stand out of noise together with the columns
    that two groups describe better than one, in what these components leave or more than they do any of these components:
    centroids that differ in many columns make a component, centroids that differ in a column or two make none or a
    blurred one, since every column was brought to one variance. It keeps at most 15 dimensions, and at
    most one per 20 patients. Where less than two of either stand out, ten columns or fewer are kept as they are, and of more
    the first two components and the two columns of largest gain.

    Args:
        points: shape (rows, columns), scaled and weighted.
        rule: one of RULES.
    """
    rows, columns = points.shape
    if columns == 1 or rule == NONE:
        return np.eye(columns)
    variances, directions = _components(points)
    if rule == PRINCIPAL_COMPONENTS:
        enough = int(np.searchsorted(np.cumsum(variances) / variances.sum(), HELD_VARIANCE)) + 1
        return directions[:, : min(max(enough, 2), PLAIN_COLUMNS, columns)]
    if columns <= FEW_COLUMNS:
        return np.eye(columns)
    most = max(FEWEST_DIMENSIONS, min(MOST_DIMENSIONS, rows // PATIENTS_PER_DIMENSION))
    common = min(components_above_noise(variances, directions, rows), most)
    gains = _gains_beside(points, directions[:, :common])
    order = np.argsort(-gains, kind="stable")
    # The BIC of two groups against one: a share and a distance more.
    divided = order[gains[order] > np.log(rows)][: most - common]
    if common + len(divided) >= FEWEST_DIMENSIONS:
        return _joined(directions[:, :common], divided)
    if columns <= PLAIN_COLUMNS:
        return np.eye(columns)
    return _joined(directions[:, :FEWEST_DIMENSIONS], order[:FEWEST_DIMENSIONS])


def axes_of_answers(points: Floats, rule: str) -> Floats:
    """Return orthonormal directions to project answers on, shape (columns, dimensions): principal components that stand out of noise.

    Two at least, or one of one column. No column is a direction of its own: answers have few values, and between two of
    them there is always a valley. none and principal_components are as in `axes_of`.

    Args:
        points: shape (rows, columns), scaled and weighted.
        rule: one of RULES.
    """
    rows, columns = points.shape
    if columns <= FEWEST_DIMENSIONS or rule != AUTOMATIC:
        return axes_of(points, rule)
    variances, directions = _components(points)
    most = max(FEWEST_DIMENSIONS, min(MOST_DIMENSIONS, rows // PATIENTS_PER_DIMENSION))
    common = min(components_above_noise(variances, directions, rows), most)
    return directions[:, : max(common, FEWEST_DIMENSIONS)]


def components_above_noise(variances: Floats, directions: Floats, rows: int) -> int:
    """Return how many principal components carry more than noise, of one variance or of a variance per column.

    The largest of the remaining variances is held against the edge that independent noise of their mean variance would have
    in 95 % of samples (Johnstone 2001, doi 10.1214/aos/1009210544), one component after the other (Kritchman and Nadler 2008, doi
    10.1016/j.chemolab.2008.06.002); then once more where what remains of each column was brought to one variance. A column of
    which little is left beside the leading components makes the others stand out in the first, columns that share
    something the components miss make many stand out in the second: the search ends where either says noise, or where nothing
    but rounding is left.

    Args:
        variances: of all components, falling, shape (components,).
        directions: of the components, shape (columns, components); fewer components than columns where some were set aside.
        rows: they were computed from.
    """
    columns = len(variances)
    for number in range(columns - 1):
        left = columns - number
        edge = _noise_edge(rows, left)
        if variances[number] <= max(edge * variances[number:].mean(), ROUNDING * variances[0]):
            return number
        rest = (directions[:, number:] * variances[number:]) @ directions[:, number:].T
        spread = np.sqrt(np.maximum(np.diagonal(rest), 1e-12))
        scaled = np.linalg.eigvalsh(rest / np.outer(spread, spread))
        if scaled[-1] <= edge * scaled.sum() / left:
            return number
    return columns - 1


def _noise_edge(rows: int, columns: int) -> float:
    """Return the 95 % quantile of the largest sample variance of independent columns of variance 1."""
    rows = max(rows, 2)  # so few have no variance
    sides = np.sqrt(rows - 1) + np.sqrt(columns)
    spread = sides * (1 / np.sqrt(rows - 1) + 1 / np.sqrt(columns)) ** (1 / 3)
    return float((sides**2 + TAIL * spread) / rows)


def gains_of_two(points: Floats) -> Floats:
    """Return how much two Gaussians of one variance gain in log-likelihood over one, for each column, shape (columns,)."""
    rows, columns = points.shape
    scale = points.std(axis=0)
    varied = scale > 0
    scaled = (points - points.mean(axis=0)) / np.where(varied, scale, 1.0)
    gains = np.zeros(columns)
    for cut in np.quantile(scaled, CUTS, axis=0):
        upper = (scaled > cut).astype(np.float64)
        for _ in range(ROUNDS):
            share = upper.mean(axis=0).clip(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
            apart = (scaled * upper).sum(axis=0) / (rows * share * (1 - share))
            within = np.maximum(1 - share * (1 - share) * apart**2, LEAST_WITHIN)
            odds = apart * (scaled - (1 - 2 * share) * apart / 2) / within + np.log(share / (1 - share))
            upper = 1 / (1 + np.exp(-odds.clip(-30, 30)))
        # log(p N1 + q N0) = log(q N0) + log(1 + odds)
        lower = np.log1p(-share) - (scaled + share * apart) ** 2 / (2 * within) - np.log(within) / 2
        likelihood = (lower + np.logaddexp(0.0, odds)).sum(axis=0)
        gains = np.maximum(gains, likelihood + (scaled**2).sum(axis=0) / 2)
    return np.where(varied, gains, 0.0)


def _gains_beside(points: Floats, leading: Floats) -> Floats:
    """Return the gain of each column beside some components, or its own where that is larger than any component's."""
    own, rest = gains_of_two(points), points - points @ leading @ leading.T
    left = rest.var(axis=0) > LEAST_LEFT * points.var(axis=0)
    beside = np.where(left, gains_of_two(rest), 0.0)
    most = gains_of_two(points @ leading).max() if leading.shape[1] else -np.inf
    return np.where(own > most, np.maximum(own, beside), beside)


def _components(points: Floats) -> tuple[Floats, Floats]:
    """Return variances, falling, and directions of the principal components; the largest entry of each is positive."""
    variances, directions = np.linalg.eigh(np.cov(points, rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(len(variances))]
    return np.maximum(variances, 0.0), np.asarray(directions * np.sign(largest), dtype=np.float64)


def _joined(directions: Floats, columns: NDArray[np.int64]) -> Floats:
    """Return an orthonormal basis of some directions and columns."""
    found = directions
    for column in columns:
        rest = np.eye(len(directions))[column] - found @ found[column]
        length = float(np.linalg.norm(rest))
        if length > 1e-6:
            found = np.column_stack([found, rest / length])
    return found
