"""How long patients came to visits, and who of them left, by planned intervals."""

import numpy as np
import polars as pl

from models.trajectories.growth_clusterer import ATTENDED, LEFT

GRACE = 0.25  # of an interval: a visit this late still counts for it
FEWEST_AT_LAST = 11  # patients who make a planned visit of the last one


def attendance_of(attendance: pl.DataFrame, patients: pl.Series, interval: float) -> pl.DataFrame:
    """Return last_visit and observable (years), and stay_attended (intervals), one row per patient."""
    known = pl.DataFrame({"patient_id": patients}).join(
        attendance, on="patient_id", how="left", maintain_order="left"
    )
    filled = known.select(pl.col("last_visit", "observable").fill_null(0.0))
    return filled.with_columns((filled["last_visit"] / interval).round().cast(pl.Int64).alias(ATTENDED))


def latest_interval(known: pl.DataFrame) -> int:
    """Return the last interval that FEWEST_AT_LAST patients attended; 0 where so many attended none.

    After it nobody was expected. A visit of one patient years after the last planned one makes no planned visit, or all the
    others would have left; and what a bundle holds of it is nobody's own.

    Args:
        known: as from `attendance_of`.
    """
    attended = np.sort(known[ATTENDED].to_numpy())
    return int(attended[-FEWEST_AT_LAST]) if len(attended) >= FEWEST_AT_LAST else 0


def stay_of(known: pl.DataFrame, interval: float, years: float, latest: int) -> pl.DataFrame:
    """Return last_visit, observable, stay_attended and stay_left, one row per patient.

    Who left is who was not seen in the next interval though a visit could have been: one was planned that late, and the patient
    was observable until a quarter of an interval after its planned day. A patient's row hangs on no other patient.

    Args:
        known: as from `attendance_of`.
        interval: years between planned visits.
        years: follow-up that is looked at.
        latest: as from `latest_interval`, of the patients that the course is fitted on.
    """
    due = ((known[ATTENDED] + 1 + GRACE) * interval).clip(upper_bound=years)
    left = (known[ATTENDED] < latest) & (known["observable"] >= due)
    return known.with_columns(left.alias(LEFT))
