"""Prescriptions by network; they carry no effect on any risk."""

import numpy as np
import polars as pl
from numpy.random import Generator

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
