"""Cause-specific hazards of relapse, readmission and death, their calibration and true cumulative incidences."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pipeline.simulation.dials import NETWORKS
from pipeline.simulation.world import Array

YEAR = 365.25
RELAPSE_SHAPE = 0.6  # Weibull; 44 % in year 1 and 55 % by year 2 in bipolar disorder need a falling hazard
RELAPSE_TARGETS = {  # 1-year risk; FACE-SZ 36.8 %, bipolar 44 % (meta-analysis 2017); the others are our choice
    "bipolar": 0.44,
    "schizophrenia": 0.35,
    "treatment_resistant_depression": 0.40,
    "autism": 0.24,
}
READMISSION_TARGETS = {  # 30-day risk: HCUP Statistical Brief 189
    "bipolar": 0.09,
    "schizophrenia": 0.16,
    "treatment_resistant_depression": 0.09,
    "autism": 0.09,
}
# Falling hazards after discharge so that 1-year readmission lies at 0.25-0.37 with the 30-day risks above.
READMISSION_SHAPES = {
    "bipolar": 0.5,
    "schizophrenia": 0.36,
    "treatment_resistant_depression": 0.5,
    "autism": 0.5,
}
HOSPITALISED = 0.95  # share of relapses treated in hospital
DEATHS_PER_YEAR = 0.012
READMISSION_SHARE = (
    0.85  # of each log hazard ratio of relapse: readmission is harder to foresee (READMIT, 2015)
)
REPEATED = 0.9  # share of readmissions that leave time for another
TYPICAL_FOLLOW_UP = 2.5  # years after a first discharge, in which the reference sample is readmitted


@dataclass(frozen=True)
class Hazards:
    """Each patient's hazards; cumulative hazards are `scale * (days / unit) ** shape`.

    Attributes:
        relapse: cumulative hazard of relapse in the first year.
        readmission: cumulative hazard of readmission in the first 30 days after a discharge.
        readmission_shape: Weibull shape of readmission.
        death: hazard of death per day.
    """

    relapse: Array
    readmission: Array
    readmission_shape: Array
    death: Array


@dataclass(frozen=True)
class Levels:
    """Log baseline cumulative hazards per network that give the target risks in a large reference sample."""

    relapse: Mapping[str, float]
    readmission: Mapping[str, float]


def calibrate(predictor: Array, network: Array, *, signal: float) -> Levels:
    """Find the levels at which the reference sample meets the published risks.

    Args:
        predictor: true linear predictor of each patient of the reference sample.
        network: network of each patient.
        signal: 0 gives every network the mean risk, so that the network itself tells nothing.
    """
    relapse, readmission = {}, {}
    toward = min(signal, 1.0)
    for name in NETWORKS:
        chosen = predictor[network == name] if toward > 0 else predictor
        relapse[name] = _level(chosen, _target(RELAPSE_TARGETS, name, toward))
        admitted = 1 - np.exp(-np.exp(relapse[name] + chosen) * 3**RELAPSE_SHAPE)
        readmission[name] = _discharge_level(
            READMISSION_SHARE * chosen,
            _target(READMISSION_TARGETS, name, toward),
            admitted,
            _target(READMISSION_SHAPES, name, toward),
        )
    return Levels(relapse, readmission)


def hazards(
    predictor: Array, network: Array, levels: Levels, *, death_predictor: Array, death: float, signal: float
) -> Hazards:
    """Return each patient's hazards: proportional in the linear predictor."""
    relapse = np.array([levels.relapse[name] for name in network])
    readmission = np.array([levels.readmission[name] for name in network])
    toward = min(signal, 1.0)
    shape = np.array([_target(READMISSION_SHAPES, name, toward) for name in network])
    return Hazards(
        np.exp(relapse + predictor),
        np.exp(readmission + READMISSION_SHARE * predictor),
        shape,
        death * DEATHS_PER_YEAR / YEAR * np.exp(death_predictor),
    )


def cumulative_incidence(
    scale: Array, shape: Array | float, unit: float, death: Array, days: float
) -> tuple[Array, Array]:
    """Return the true risks by `days` of the event and of death before it.

    The event's cumulative hazard is scale * (t / unit) ** shape and death's is death * t. The integral of the event's
    sub-density is taken over its cumulative hazard, where the integrand is smooth (Gauss-Legendre, 40 nodes).
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    end = scale * (days / unit) ** shape
    at = end[:, None] * (nodes + 1) / 2
    power = np.broadcast_to(np.asarray(shape, dtype=np.float64), scale.shape)
    time = unit * (at / scale[:, None]) ** (1 / power[:, None])
    event = (np.exp(-at - death[:, None] * time) @ weights) * end / 2
    died = 1 - np.exp(-end - death * days) - event
    return np.round(event, 12), np.round(
        died, 12
    )  # equal hazards give equal risks, whatever the order of sums


def _target(table: Mapping[str, float], name: str, toward: float) -> float:
    mean = float(np.mean(list(table.values())))
    return mean + toward * (table[name] - mean)


def _level(predictor: Array, target: float) -> float:
    def excess(level: float) -> float:
        return float(np.mean(1 - np.exp(-np.exp(level + predictor)))) - target

    return float(brentq(excess, -12.0, 6.0))


def _discharge_level(predictor: Array, target: float, admitted: Array, shape: float) -> float:
    """Find the level at which the mean risk over discharges, not over patients, is the target.

    A patient has as many discharges as admissions: the first with probability `admitted`, then as often as gaps with
    the readmission hazard, approximately, fit into the follow-up.
    """
    years = TYPICAL_FOLLOW_UP * YEAR / 30

    def excess(level: float) -> float:
        hazard = np.exp(level + predictor)
        again = 1 - np.exp(-hazard * years**shape)
        discharges = admitted / (1 - REPEATED * again)
        return float(np.average(1 - np.exp(-hazard), weights=discharges)) - target

    return float(brentq(excess, -12.0, 6.0))
