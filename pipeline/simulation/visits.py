"""Who comes back each year, and what is told then: whether a relapse came since the last visit, which not all tell."""

import numpy as np
import polars as pl
from numpy.random import Generator

from pipeline.simulation.course import Course
from pipeline.simulation.dials import Simulation
from pipeline.simulation.patients import Latent
from pipeline.simulation.variables import RELAPSE_ASKED
from pipeline.simulation.world import Array, World, country_sign

RETURNS_FIRST, RETURNS_LATER = 0.66, 0.8  # so that 61 % of all are seen again at least once (FACE-BD)


def draw_visits(latent: Latent, course: Course, world: World, draw: Generator) -> pl.DataFrame:
    """Return baseline and yearly visits until drop-out, driven by severity and country, or the end of follow-up.

    Columns patient (index), number and day from the baseline, sorted by patient and number.
    """
    count, dials = latent.people.height, world.dials
    signs = {name: country_sign(name, world.seed) for name in sorted(set(latent.people["country"]))}
    place = np.array([signs[name] for name in latent.people["country"].to_list()])
    against = dials.dropout_by_severity * latent.factors["symptoms"] - dials.attendance_by_country * place / 2
    here = np.ones(count, dtype=bool)
    frames = [pl.DataFrame({"patient": np.arange(count), "number": 0, "day": 0})]
    for year in (1, 2, 3):
        share = RETURNS_FIRST if year == 1 else RETURNS_LATER
        returns = draw.random(count) < 1 / (1 + np.exp(-(np.log(share / (1 - share)) - against)))
        day = 365 * year + draw.integers(-25, 26, count)
        here &= returns & (day < course.end)
        who = np.flatnonzero(here)
        frames.append(pl.DataFrame({"patient": who, "number": year, "day": day[who]}))
    return pl.concat(frames, how="vertical_relaxed").sort("patient", "number")


def told_of_relapse(country: pl.Series, dials: Simulation, seed: int) -> Array:
    """Return the probability that a relapse since the last visit is told at a visit of each country, shape (n,)."""
    signs = {name: country_sign(name, seed) for name in sorted(country.unique())}
    half = dials.relapse_told_by_country / 2
    told = np.array([dials.relapse_told + half * signs[name] for name in country.to_list()])
    return np.asarray(np.clip(told, 0.0, 1.0), dtype=np.float64)


def answer_relapse(
    visits: pl.DataFrame, events: pl.DataFrame, told: Array, unknown: float, draw: Generator
) -> pl.Series:
    """Return each visit's answer: null at the baseline, else yes, no or unknown.

    Args:
        visits: patient (index), number and time, sorted by patient and number.
        events: patient, time, kind.
        told: probability that a relapse is told, shape (patients,).
        unknown: share of later visits at which nobody can say.
        draw: source of randomness.
    """
    since = visits.with_columns(before=pl.col("time").shift(1).over("patient")).with_row_index("row")
    relapses = events.filter(pl.col("kind") == "relapse").select("patient", pl.col("time").alias("day"))
    came = since.join(relapses, on="patient").filter(
        (pl.col("day") > pl.col("before")) & (pl.col("day") <= pl.col("time"))
    )
    relapsed = np.isin(since["row"].to_numpy(), came["row"].to_numpy())
    likely = told[visits["patient"].to_numpy()]
    said = relapsed & (draw.random(len(likely)) < likely)
    answer = np.where(draw.random(len(likely)) < unknown, "unknown", np.where(said, "yes", "no"))
    return since.select(pl.when(pl.col("before").is_not_null()).then(pl.Series(answer)).alias(RELAPSE_ASKED))[
        RELAPSE_ASKED
    ]
