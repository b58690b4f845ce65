"""Prescriptions by network, and treatments begun later by indication; they carry no effect on any risk."""

import numpy as np
import polars as pl
from numpy.random import Generator

from pipeline.simulation.hazards import YEAR
from pipeline.simulation.world import Array

# ATC code -> usual daily dose in mg and the share of a network's patients who take it.
PRESCRIBED: dict[str, tuple[float, dict[str, float]]] = {
    "N05AH02": (350, {"schizophrenia": 0.2}),
    "N05AH03": (12, {"schizophrenia": 0.3, "bipolar": 0.15}),
    "N05AH04": (400, {"schizophrenia": 0.15, "bipolar": 0.3, "treatment_resistant_depression": 0.25}),
    "N05AX08": (4, {"schizophrenia": 0.25, "autism": 0.2}),
    "N05AX12": (15, {"schizophrenia": 0.2, "bipolar": 0.15, "autism": 0.1}),
    "N05AN01": (900, {"bipolar": 0.4, "treatment_resistant_depression": 0.15}),
    "N03AG01": (1000, {"bipolar": 0.25}),
    "N03AX09": (200, {"bipolar": 0.25}),
    "N06AB10": (15, {"treatment_resistant_depression": 0.4, "autism": 0.15, "bipolar": 0.1}),
    "N06AX16": (150, {"treatment_resistant_depression": 0.35}),
    "A10BA02": (1500, {"schizophrenia": 0.07, "bipolar": 0.05, "treatment_resistant_depression": 0.1}),
}


# Begun after the baseline where tablets did not hold: ATC code, route, usual dose in mg per day, networks.
CHANGES = (
    ("N05AH02", "oral", 300.0, ("schizophrenia",)),
    ("N05AX13", "depot", 3.0, ("schizophrenia", "bipolar")),
)
DEPOT_SHARE = {"N05AX08": 0.15, "N05AX12": 0.1}  # of earlier prescriptions of the code
BY_INDICATION = 0.5  # log hazard ratio of a change per SD of severity


def draw_medications(people: pl.DataFrame, end: Array, draw: Generator) -> pl.DataFrame:
    """Return patient (index), atc, start, stop (null: still taken) and dose; times in days since 1970-01-01."""
    network = people["network"].to_numpy()
    baseline = people["baseline"].to_numpy()
    frames = []
    for atc, (dose, shares) in PRESCRIBED.items():
        likely = np.array([shares.get(name, 0.0) for name in network])
        who = np.flatnonzero(draw.random(len(network)) < likely)
        start = baseline[who] - draw.integers(5, 1500, len(who))
        stop = start + np.ceil(draw.exponential(1800, len(who))).astype(np.int64)
        last = baseline[who] + end[who]
        frames.append(
            pl.DataFrame(
                {
                    "patient": who,
                    "atc": atc,
                    "start": start,
                    "stop": np.where(stop < last, stop, -1),
                    "dose": np.round(dose * draw.choice([0.5, 0.75, 1.0, 1.25, 1.5], len(who)), 1),
                }
            ).with_columns(stop=pl.when(pl.col("stop") > 0).then("stop"))
        )
    return pl.concat(frames).sort("patient", "atc")


def with_routes(earlier: pl.DataFrame, draw: Generator) -> pl.DataFrame:
    """Return the prescriptions with their route: tablets, and depots of some codes."""
    share = np.array([DEPOT_SHARE.get(code, 0.0) for code in earlier["atc"].to_list()])
    depot = draw.random(earlier.height) < share
    return earlier.with_columns(route=pl.Series(np.where(depot, "depot", "oral")))


def draw_changes(
    people: pl.DataFrame,
    end: Array,
    draw: Generator,
    *,
    severity: Array,
    rate: float,
    earlier: pl.DataFrame,
) -> pl.DataFrame:
    """Return treatments begun during follow-up, as `with_routes` returns those before it.

    Args:
        people: one row per patient with network and baseline.
        end: last day of follow-up from the baseline, shape (patients,).
        draw: source of randomness.
        severity: standardised, shape (patients,): the severe change sooner.
        rate: starts per year of a patient of average severity, over all changes open to a network.
        earlier: prescriptions; who ever had a code does not begin it anew.
    """
    network, baseline = people["network"].to_numpy(), people["baseline"].to_numpy()
    frames = []
    for code, route, dose, networks in CHANGES:
        unit = draw.exponential(size=len(end))
        had = np.isin(np.arange(len(end)), earlier.filter(pl.col("atc") == code)["patient"].to_numpy())
        hazard = rate / len(CHANGES) / YEAR * np.exp(BY_INDICATION * severity)
        with np.errstate(divide="ignore"):
            day = np.ceil(unit / hazard)
        who = np.flatnonzero(np.isin(network, networks) & ~had & (day < end))
        frames.append(
            pl.DataFrame({"patient": who, "start": (baseline[who] + day[who]).astype(np.int64)}).with_columns(
                atc=pl.lit(code), stop=pl.lit(None, dtype=pl.Int64), dose=pl.lit(dose), route=pl.lit(route)
            )
        )
    return pl.concat(frames).select(earlier.columns)
