"""Drawing folds: patients and families dealt evenly over folds, centres gathered whole into groups of like size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput

Integers = NDArray[np.int64]
SMALLEST_CLASS = 10  # events and non-events below which a centre is pooled with others
NO_CENTRE = "not recorded"
NO_FAMILY = -1  # of a patient without relatives; positions count from 0
UNKNOWN = -1  # the cause of a label that is not known


@dataclass(frozen=True)
class Status:
    """What is known of each row at the horizon, shape (n,) each; a row censored before it is neither.

    Attributes:
        event: the first cause happened by the horizon.
        none: it did not, for certain: followed beyond the horizon, or a competing event came first.
    """

    event: NDArray[np.bool_]
    none: NDArray[np.bool_]

    @classmethod
    def at(cls, time: NDArray[np.float64] | None, cause: Integers, horizon: float) -> "Status":
        """Read the status from times in days and causes; `time` is None for a label, UNKNOWN is neither."""
        if time is None:
            return cls(event=cause == 1, none=cause == 0)
        happened, after = time <= horizon, time > horizon
        followed = (cause == 0) & (time >= horizon)
        return cls(event=(cause == 1) & happened, none=after | followed | ((cause > 1) & happened))


def patient_table(rows: pl.DataFrame, status: Status) -> pl.DataFrame:
    """Return one row per patient, by position: country, centre, unit, rows, events, nones and `seen`.

    `seen` is 2 for a patient with an event, 1 for one known to have none, 0 where nothing is known; `unit` as in `units`.
    """
    counted = rows.select("position", "country", pl.col("centre").fill_null(NO_CENTRE)).with_columns(
        unit=pl.Series(units(rows), dtype=pl.Int64),
        events=pl.Series(status.event.astype(np.int64)),
        nones=pl.Series(status.none.astype(np.int64)),
    )
    table = counted.group_by("position", maintain_order=True).agg(
        pl.col("country", "centre", "unit").first(),
        places=pl.struct("country", "centre").n_unique(),
        rows=pl.len(),
        events=pl.col("events").sum(),
        nones=pl.col("nones").sum(),
    )
    moved = table.filter(pl.col("places") > 1).height
    if moved:
        raise BadInput(
            f"{moved} patients have more than one centre or country: a fold could not keep both the patient and the "
            "centre whole. Give each patient one centre in the patients file."
        )
    seen = pl.when(pl.col("events") > 0).then(2).when(pl.col("nones") > 0).then(1).otherwise(0)
    return table.drop("places").with_columns(seen=seen).sort("position")


def deal_patients(patients: pl.DataFrame, folds: int, seed: int) -> Integers:
    """Return a fold for each patient of a patient table, shape (patients,), in [0, folds).

    Patients are shuffled, ordered by what was seen of them and by country, and dealt like cards: any two folds differ
    by at most one patient in all, with an event, and with an event in each country. A family is dealt like one patient:
    the most that was seen of any of them, in the country of the first.
    """
    dealt_whole = (
        patients.group_by("unit", maintain_order=True)
        .agg(pl.col("country").first(), pl.col("seen").max())
        .sort("unit")
    )
    shuffled = np.random.default_rng(seed).permutation(dealt_whole.height)
    country = dealt_whole["country"].fill_null("").rank("dense").to_numpy().astype(np.int64)
    seen = dealt_whole["seen"].to_numpy().astype(np.int64)
    order = shuffled[np.lexsort((country[shuffled], -seen[shuffled]))]
    dealt = np.empty(dealt_whole.height, dtype=np.int64)
    dealt[order] = np.arange(dealt_whole.height) % folds
    return dealt[np.searchsorted(dealt_whole["unit"].to_numpy(), patients["unit"].to_numpy())]


def units(rows: pl.DataFrame) -> Integers:
    """Return what of each row is kept whole, shape (rows,): the family, of a patient without relatives the own position.

    A family is named by the smallest position of its patients, so that no two units share a number. Rows without the
    column `family` hold no relatives.
    """
    position = pl.col("position").cast(pl.Int64)
    own = pl.coalesce(pl.col("family").cast(pl.Int64), position) if "family" in rows.columns else position
    return rows.select(own).to_series().to_numpy().astype(np.int64)


def has_families(rows: pl.DataFrame) -> bool:
    """Tell whether any row has a relative in the study."""
    return "family" in rows.columns and rows["family"].null_count() < rows.height


def relatives(rows: pl.DataFrame, test: Integers) -> Integers:
    """Return the places of rows that are not tested while a relative's are, increasing.

    Where folds are centres, countries or days a family cannot be kept whole; these rows are then trained on neither.
    """
    if not has_families(rows):
        return np.empty(0, dtype=np.int64)
    family = rows["family"].fill_null(NO_FAMILY).to_numpy().astype(np.int64)
    tested = np.setdiff1d(family[test], [NO_FAMILY])
    return np.setdiff1d(np.flatnonzero(np.isin(family, tested)), test).astype(np.int64)


def inner_parts(rows: pl.DataFrame, inner: Integers) -> list[tuple[Integers, Integers]]:
    """Return the places of the rows that are fitted and judged in each inner fold.

    Args:
        rows: training rows of an outer fold.
        inner: inner fold of each, shape (rows,), from 0.
    """
    parts = []
    for fold in range(int(inner.max()) + 1):
        judged = np.flatnonzero(inner == fold)
        fitted = np.setdiff1d(np.flatnonzero(inner != fold), relatives(rows, judged))
        parts.append((fitted.astype(np.int64), judged.astype(np.int64)))
    return parts


def centre_table(patients: pl.DataFrame) -> pl.DataFrame:
    """Return one row per centre, by name: country, patients, rows, events, nones."""
    return (
        patients.group_by("centre", maintain_order=True)
        .agg(
            pl.col("country").min(),
            pl.len().alias("patients"),
            pl.col("rows", "events", "nones").sum(),
        )
        .sort("centre")
    )


def balanced_groups(centres: pl.DataFrame, groups: int) -> list[list[str]]:
    """Gather whole centres into groups of like numbers of events: largest first, each to the smallest group yet."""
    ordered = centres.sort(["events", "rows", "centre"], descending=[True, True, False])
    gathered: list[list[str]] = [[] for _ in range(groups)]
    load = [(0, 0, place) for place in range(groups)]
    for name, events, rows in ordered.select("centre", "events", "rows").iter_rows():
        held, size, place = min(load)
        gathered[place].append(name)
        load[place] = (held + events, size + rows, place)
    return [sorted(group) for group in gathered if group]


def pool_small(centres: pl.DataFrame, groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Pool groups of centres with fewer than ten events or ten non-events until none is left, or two groups are.

    The declared rule: the group with the fewest of either joins, of the others, the one that then has the fewest;
    where two would do, the one whose first centre comes first by name.
    """
    counts = {
        name: (events, nones) for name, events, nones in centres["centre", "events", "nones"].iter_rows()
    }
    pooled = sorted(sorted(group) for group in groups)

    def rarer(group: Sequence[str]) -> int:
        return min(int(sum(counts[name][kind] for name in group)) for kind in (0, 1))

    while len(pooled) > 2:
        smallest = min(pooled, key=lambda group: (rarer(group), group))
        if rarer(smallest) >= SMALLEST_CLASS:
            break
        others = [group for group in pooled if group is not smallest]
        partner = min(others, key=lambda group: (rarer(group), group))
        pooled = sorted([group for group in others if group is not partner] + [sorted(smallest + partner)])
    return pooled
