"""What patients' answers say of the numbers behind them: draws of latent normals that give just these answers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from experiments.stratification.marginals import Column
from experiments.stratification.one_group import score_correlation

Floats = NDArray[np.float64]

ROUNDS = 30  # of the sampler; it starts from the means, not far from where it stays
SMALLEST = 1e-12  # distance of a share from 0 and 1


def latent_answers(columns: Sequence[Column], generator: np.random.Generator) -> Floats:
    """Return one draw of the latent numbers of all patients, shape (patients, columns).

    Each is normal given the patient's others, and lies between the cuts of the patient's own answer, or anywhere where there is
    none (Gibbs sampling as in Hoff 2007, doi 10.1214/07-AOAS107, with the correlations as they were estimated). Answers themselves
    lie on a grid, and a mixture fitted to a grid finds its points.

    Args:
        columns: what is known of each column, with its cuts.
        generator: of the draw.
    """
    correlation = score_correlation(columns)
    precision = np.linalg.inv(correlation)
    cuts = np.stack([column.cuts for column in columns], axis=1)
    latent = np.nan_to_num(np.column_stack([column.scores for column in columns]))
    for _ in range(ROUNDS):
        for place in range(len(columns)):
            weights = -precision[place] / precision[place, place]
            weights[place] = 0.0
            mean, spread = latent @ weights, precision[place, place] ** -0.5
            low, high = ndtr((cuts[:, place] - mean[:, None]) / spread).T
            share = low + (high - low) * generator.random(len(latent))
            drawn = mean + spread * ndtri(np.clip(share, SMALLEST, 1 - SMALLEST))
            latent[:, place] = np.clip(drawn, cuts[:, place, 0], cuts[:, place, 1])
    return np.asarray(latent, dtype=np.float64)
