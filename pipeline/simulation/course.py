"""What happens to each patient: relapses, stays, death and the end of follow-up."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.simulation.hazards import HOSPITALISED, RELAPSE_SHAPE, YEAR, Hazards
from pipeline.simulation.world import Array

LOSS_PER_YEAR, TRANSFER_PER_YEAR, OTHER_STAYS_PER_YEAR = 0.05, 0.012, 0.07
ROUNDS = 200  # more episodes than any patient can have in a follow-up of a few years
ENDINGS = ("death", "loss_to_follow_up", "transfer", "end_of_follow_up")


@dataclass(frozen=True)
class Course:
    """Days count from each patient's baseline.

    Attributes:
        events: patient (index), day, kind.
        stays: patient (index), admission, discharge (null: still in hospital), kind, discharged_to.
        relapse: day of the first relapse had nobody died or left.
        death: day of death had nobody left.
        end: last day of follow-up.
    """

    events: pl.DataFrame
    stays: pl.DataFrame
    relapse: Array
    death: Array
    end: Array


def draw_course(own: Hazards, leaving: Array, available: NDArray[np.int64], draw: Generator) -> Course:
    """Draw the course of every patient.

    Args:
        own: hazards.
        leaving: multiplier of the hazards of loss to follow-up.
        available: days from baseline to the extract.
        draw: source of randomness.
    """
    count = len(leaving)
    with np.errstate(divide="ignore"):  # without a hazard nobody dies
        death = np.ceil(draw.exponential(size=count) / own.death)
    loss = np.ceil(draw.exponential(size=count) * YEAR / (LOSS_PER_YEAR * leaving))
    transfer = np.ceil(draw.exponential(size=count) * YEAR / TRANSFER_PER_YEAR)
    times = np.column_stack([death, loss, transfer, available])
    ending, end = times.argmin(axis=1), times.min(axis=1)
    relapses, stays, first = _episodes(own, end, death, draw)
    other = _other_stays(end, stays, draw)
    closing = pl.DataFrame({"patient": np.arange(count), "day": end, "kind": np.array(ENDINGS)[ending]})
    events = pl.concat([relapses, closing]).sort("patient", "day", "kind")
    stays = pl.concat([stays, other]).sort("patient", "admission", "kind")
    return Course(events, stays, first, death, end)


def _episodes(
    own: Hazards, end: Array, death: Array, draw: Generator
) -> tuple[pl.DataFrame, pl.DataFrame, Array]:
    """Return relapses, psychiatric stays and the first relapse of each patient.

    The clock of relapse starts anew after an episode treated at home; after a discharge the hazard of readmission,
    itself a relapse, takes its place.
    """
    count = len(end)
    clock, discharged = np.zeros(count), np.zeros(count, dtype=bool)
    first = np.zeros(count)
    active = np.arange(count)
    relapses, stays = [], []
    for turn in range(ROUNDS):
        waited = _gap(own, active, discharged[active], draw)
        day = clock[active] + waited
        if turn == 0:
            first = day.copy()
        inside = day < end[active]
        active, day = active[inside], day[inside]
        if len(active) == 0:
            break
        relapses.append(pl.DataFrame({"patient": active, "day": day}))
        admitted = discharged[active] | (draw.random(len(active)) < HOSPITALISED)
        lag = np.where(discharged[active], 0, draw.integers(0, 8, len(active)))
        length = np.ceil(draw.lognormal(np.log(20), 0.75, len(active)))
        admission = np.minimum(day + lag, end[active])
        discharge = np.minimum(admission + length, death[active])
        stays.append(
            _stays(
                active, admission, discharge, draw, end=end[active], death=death[active], admitted=admitted
            )
        )
        clock[active] = np.where(admitted, discharge, day)
        discharged[active] = admitted
    kinds = pl.concat(relapses) if relapses else pl.DataFrame(schema={"patient": pl.Int64, "day": pl.Float64})
    return kinds.with_columns(kind=pl.lit("relapse")), pl.concat(stays) if stays else _no_stays(), first


def _gap(own: Hazards, who: NDArray[np.int64], after_discharge: NDArray[np.bool_], draw: Generator) -> Array:
    unit = draw.exponential(size=len(who))
    relapse = YEAR * (unit / own.relapse[who]) ** (1 / RELAPSE_SHAPE)
    # One day free at least: an admission on the next day belongs to the same episode.
    readmission = 1 + 30 * (unit / own.readmission[who]) ** (1 / own.readmission_shape[who])
    return np.asarray(np.ceil(np.where(after_discharge, readmission, relapse)), dtype=np.float64)


def _stays(
    who: NDArray[np.int64],
    admission: Array,
    discharge: Array,
    draw: Generator,
    *,
    end: Array,
    death: Array,
    admitted: NDArray[np.bool_],
) -> pl.DataFrame:
    where = draw.choice(["home", "day_hospital", "other_hospital"], size=len(who), p=[0.82, 0.12, 0.06])
    frame = pl.DataFrame(
        {
            "patient": who,
            "admission": admission,
            "discharge": discharge,
            "kind": np.full(len(who), "psychiatric"),
            "discharged_to": np.where(discharge >= death, "death", where),
        }
    )
    return _still_inside(frame, end, death).filter(pl.Series(admitted & (admission < end)))


def _still_inside(frame: pl.DataFrame, end: Array, death: Array) -> pl.DataFrame:
    """Leave the discharge empty where follow-up ended before it, other than by death."""
    seen = (pl.col("discharge") < pl.Series(end)) | (pl.col("discharge") == pl.Series(death))
    return frame.with_columns(
        discharge=pl.when(seen).then("discharge"), discharged_to=pl.when(seen).then("discharged_to")
    )


def _other_stays(end: Array, psychiatric: pl.DataFrame, draw: Generator) -> pl.DataFrame:
    """Draw stays for other than psychiatric reasons; they touch no risk and overlap no psychiatric stay."""
    number = draw.poisson(OTHER_STAYS_PER_YEAR * end / YEAR)
    who = np.repeat(np.arange(len(end)), number)
    admission = np.ceil(draw.random(len(who)) * end[who])
    discharge = admission + np.ceil(draw.lognormal(np.log(4), 0.6, len(who)))
    frame = pl.DataFrame(
        {
            "patient": who,
            "admission": admission,
            "discharge": discharge,
            "kind": np.full(len(who), "other"),
            "discharged_to": np.full(len(who), "home"),
        },
        schema=_no_stays().schema,
    ).filter(pl.Series(discharge < end[who]))
    frame = frame.with_row_index("row")
    pairs = frame.join(psychiatric, on="patient", suffix="_other")
    overlapping = pairs.filter(
        (pl.col("admission") <= pl.col("discharge_other").fill_null(np.inf) + 2)
        & (pl.col("discharge") >= pl.col("admission_other") - 2)
    )
    kept = frame.join(overlapping.select("row").unique(), on="row", how="anti").drop("row")
    return kept.unique(["patient", "admission"], keep="first", maintain_order=True)


def _no_stays() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "patient": pl.Int64,
            "admission": pl.Float64,
            "discharge": pl.Float64,
            "kind": pl.String,
            "discharged_to": pl.String,
        }
    )
