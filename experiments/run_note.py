"""The Markdown note of one tracked run: its figures with their intervals, the declared primary first."""

from collections.abc import Mapping

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
    lines = []
    if primary:
        lines += [f"**The primary analysis, declared beforehand: {primary[1]} under {primary[0]}.**", ""]
    lines += [
        "| scheme | metric | estimate | 95 % interval | interval is of | n | events |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in _headline(metrics, primary).iter_rows(named=True):
        lines.append(_line(row, primary))
    differences = comparisons.filter(pl.col("difference").is_not_null()).sort(
        "scheme", pl.col("group").fill_null(""), "metric", "reference"
    )
    if not differences.is_empty():
        lines += [
            "",
            "| scheme | metric | difference to | difference | 95 % interval |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {_place(row)} | {row['metric']} | {row['reference']} | {row['difference']:+.3f} | {_interval(row)} |"
            for row in differences.iter_rows(named=True)
        ]
    lines += ["", f"Model card: artifacts, card/{learner}.html. {LEAST_SAID}"]
    return "\n".join(lines)


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
