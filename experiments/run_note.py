"""The Markdown note of one tracked run: its figures with their intervals, the declared primary first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

# What each kind of interval is of, in a reader's words.
INTERVALS_OF: Mapping[str, str] = {
    "none": "",
    "corrected_resampling": "new patients of the same centres",
    "patient_bootstrap": "this model on other patients",
    "random_effects": "mean over centres",
    "prediction_interval": "a new centre",
}
ORDER = ("auroc", "average_precision", "brier", "calibration_intercept", "calibration_slope")
LEAST_SAID = "Research only: not for decisions about a patient."
MOST_CHARACTERS = 8000  # MLflow cuts a longer note off in the middle of a word
METRICS_HEADER = "| scheme | metric | estimate | 95 % interval | interval is of | n | events |"
DIFFERENCES_HEADER = "| scheme | metric | difference to | difference | 95 % interval |"


@dataclass(frozen=True)
class NoteTable:
    """One Markdown table of a note, its most important row first.

    Attributes:
        header: the line with the names of the columns.
        rows: a line each.
    """

    header: str
    rows: Sequence[str]


def note(
    metrics: pl.DataFrame, comparisons: pl.DataFrame, learner: str, primary: tuple[str, str] | None
) -> str:
    """Return the note.

    Args:
        metrics: experiments.results.Metrics rows of the learner, those of `reported`.
        comparisons: experiments.results.Comparisons rows of the learner.
        learner: its name.
        primary: scheme and metric declared beforehand, where this is the primary analysis.
    """
    opening = (
        [f"**The primary analysis, declared beforehand: {primary[1]} under {primary[0]}.**"]
        if primary
        else []
    )
    figures = [_line(row, primary) for row in _headline(metrics, primary).iter_rows(named=True)]
    differences = comparisons.filter(pl.col("difference").is_not_null()).sort(
        "scheme", pl.col("group").fill_null(""), "metric", "reference"
    )
    compared = [
        f"| {_place(row)} | {row['metric']} | {row['reference']} | {row['difference']:+.3f} | {_interval(row)} |"
        for row in differences.iter_rows(named=True)
    ]
    tables = [NoteTable(METRICS_HEADER, figures), NoteTable(DIFFERENCES_HEADER, compared)]
    return fitted(opening, tables, f"Model card: artifacts, card/{learner}.html. {LEAST_SAID}")


def fitted(
    opening: Sequence[str], tables: Sequence[NoteTable], ending: str, most: int = MOST_CHARACTERS
) -> str:
    """Return a note of whole lines that is no longer than MLflow keeps; where rows are left out it says how many.

    Args:
        opening: paragraphs above the tables; each one line.
        tables: in order of importance; one without rows is left out.
        ending: the last sentences; they name the card and always stand.
        most: characters.
    """
    whole = sum(len(table.rows) for table in tables)
    shown = _room_for(opening, tables, ending, most)
    return _words(opening, tables, ending, shown=shown, whole=whole)


def _room_for(opening: Sequence[str], tables: Sequence[NoteTable], ending: str, most: int) -> int:
    """Return how many rows, counted from the first table on, fit: all of them, or the most that leave room to say so."""
    whole = sum(len(table.rows) for table in tables)
    for shown in range(whole, 0, -1):
        if len(_words(opening, tables, ending, shown=shown, whole=whole)) <= most:
            return shown
    return 0


def _words(
    opening: Sequence[str], tables: Sequence[NoteTable], ending: str, *, shown: int, whole: int
) -> str:
    blocks, room = list(opening), shown
    for table in tables:
        rows = table.rows[:room]
        room -= len(rows)
        if rows:
            line = "|" + "---|" * (table.header.count("|") - 1)
            blocks.append("\n".join([table.header, line, *rows]))
    left = whole - shown
    more = (
        f"{left} more {'row stands' if left == 1 else 'rows stand'} in the tables among the artifacts. "
        if left
        else ""
    )
    return "\n\n".join([*blocks, more + ending])


def _headline(metrics: pl.DataFrame, primary: tuple[str, str] | None) -> pl.DataFrame:
    """Return the combined figures and those of each centre or country, the primary first."""
    rows = metrics.filter(pl.col("metric").is_in(ORDER))
    first = (
        pl.lit(False)
        if primary is None
        else (pl.col("scheme") == primary[0]) & (pl.col("metric") == primary[1])
    )
    place = pl.col("metric").replace_strict(
        dict(zip(ORDER, range(len(ORDER)), strict=True)), return_dtype=pl.Int32
    )
    return rows.sort(
        first & pl.col("group").is_null(),
        "scheme",
        pl.col("group").fill_null(""),
        place,
        "interval_kind",
        descending=[True, False, False, False, False],
    )


def _line(row: dict[str, object], primary: tuple[str, str] | None) -> str:
    is_primary = primary == (row["scheme"], row["metric"]) and not row["group"]
    estimate = "not estimable" if row["estimate"] is None else f"{row['estimate']:.3f}"
    cells = [
        _place(row),
        str(row["metric"]),
        f"**{estimate}**" if is_primary else estimate,
        _interval(row),
        INTERVALS_OF.get(str(row["interval_kind"]), str(row["interval_kind"]))
        if row["lower"] is not None
        else "",
        "suppressed" if row["n"] is None else f"{row['n']:,}",
        "suppressed" if row["events"] is None else f"{row['events']:,}",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _place(row: Mapping[str, object]) -> str:
    return f"{row['scheme']}, {row['group']}" if row["group"] else str(row["scheme"])


def _interval(row: dict[str, object]) -> str:
    if row["lower"] is None or row["upper"] is None:
        return ""
    return f"{row['lower']:.3f} to {row['upper']:.3f}"
