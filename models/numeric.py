"""Small numeric functions without a heavy import."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def logistic(log_odds: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)), accurate in both tails."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)), dtype=np.float64)
