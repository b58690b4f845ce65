"""Sections of a stratification card: value beyond continuous scores, outcomes by stratum, medication."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import SUPPRESSED
from experiments.stratification import outcome_schemas
from pipeline.cards.flow import HIDDEN, Table
from pipeline.cards.section import Section, count, drawn, without_empty_columns
from pipeline.cards.strata_incidence import WITH_UNCERTAINTY, incidence_section, told
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import number, p_value
from pipeline.files import read_table

GAINS = {"concordance": "concordance", "auroc": "AUROC", "r_squared": "R squared"}
MOST_SCORES = 14  # rows of scores that are told on the card
HOLM_LEVEL = 0.05


def value_section(folder: Path) -> Section | None:
    """Word whether strata tell more than splines of continuous scores of the same variables."""
    table = read_table(folder / "value.parquet", outcome_schemas.Value)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "outcome or column": _name(row),
            "patients": HIDDEN if row["n"] is None else count(row["n"]),
            "events": count(row["events"]),
            "scores (as splines)": f"{row['dimensions']} ({row['curved']})",
            "p": p_value(row["p"]),
            "p, Holm": p_value(row["p_adjusted"]),
            "out of fold": ""
            if row["gain_metric"] is None
            else f"{GAINS[row['gain_metric']]} {number(row['smaller'])}",
            "gain by strata": ""
            if row["gain"] is None
            else number(row["gain"], signed=True) + in_brackets(row["gain_lower"], row["gain_upper"]),
            "note": row["note"] or "",
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "value",
        "Value beyond continuous scores",
        (
            "Covariates, spline-coded continuous scores of the same variables and products of scores, without and with the strata. "
            "Variables that made the strata are refused as held-out columns.",
        ),
        (("Each outcome and held-out column", without_empty_columns(rows)),),
        drawn(folder / "figures", {"value": "Out-of-fold gain of strata over continuous scores"}),
    )


def outcome_sections(folder: Path, outcome: Mapping[str, Any]) -> list[Section | None]:
    """Word what happened in each stratum, held-out columns included; where there are none, the dimensions' associations."""
    if int(outcome["k"]) == 1:
        return [_associations(folder)]
    return [incidence_section(folder), _held_out(folder)]


def medication_section(folder: Path) -> Section | None:
    """Describe who is on what, under the warning that stands in the table."""
    table = read_table(folder / "medication.parquet", outcome_schemas.Medication)
    if table.is_empty():
        return None
    shares: Table = []
    differences: Table = []
    for (group, codes), own in table.group_by(["group", "codes"], maintain_order=True):
        what = {"group": str(group).replace("_", " "), "ATC": str(codes)}
        strata = own.sort("stratum").to_dicts()
        shares.append({**what, **{f"stratum {row['stratum']}": _share_on(row) for row in strata}})
        differences.append({**what, **{f"stratum {row['stratum']}": _difference_on(row) for row in strata}})
    return Section(
        "medication",
        "Medication by stratum",
        (str(table["warning"][0]),),
        (
            ("On treatment at the prediction time, with 95 % intervals", shares),
            ("Difference from the share of all other strata together, in percentage points", differences),
        ),
        drawn(folder / "figures", {"medication": "Medication by stratum: description only"}),
    )


def _share_on(row: Mapping[str, Any]) -> str:
    if row["share"] is None:
        return HIDDEN
    around = "" if row["lower"] is None else f" ({100 * row['lower']:.0f} to {100 * row['upper']:.0f} %)"
    return f"{100 * row['share']:.0f} %{around} of {count(row['patients'])}"


def _difference_on(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        return HIDDEN
    points = [100 * row[name] for name in ("difference", "difference_lower", "difference_upper")]
    return "{:+.0f} ({:+.0f} to {:+.0f})".format(*(round(one) + 0.0 for one in points))


def _held_out(folder: Path) -> Section | None:
    table = read_table(folder / "held_out.parquet", outcome_schemas.HeldOut)
    shown = table.filter(pl.col("correction") == WITH_UNCERTAINTY)
    if shown.is_empty():
        return None
    rows: Table = []
    for (column, level), own in shown.group_by(["column", "level"], maintain_order=True):
        name = str(column).replace("_", " ") + (f": {level}" if level else "")
        rows.append(
            {"column": name, **{f"stratum {row['stratum']}": told(row) for row in own.iter_rows(named=True)}}
        )
    return Section(
        "held_out",
        "Columns that did not make the strata",
        (
            "Means and shares with 95 % intervals, each patient counted as far as a stratum is probable (BCH).",
            *(f"Not computed: {note}." for note in _why_missing(shown)),
        ),
        (("Held-out columns", rows),),
    )


def _why_missing(shown: pl.DataFrame) -> list[str]:
    """Return why figures are missing that are not suppressed."""
    missing = shown.filter(pl.col("estimate").is_null(), pl.col("note") != SUPPRESSED)
    return missing["note"].unique(maintain_order=True).to_list()


def _associations(folder: Path) -> Section | None:
    table = read_table(folder / "associations.parquet", outcome_schemas.Associations)
    if table.is_empty():
        return None
    shown = table.sort("p_spline", nulls_last=True, maintain_order=True).head(MOST_SCORES)
    rows: Table = [
        {
            "outcome or column": _name(row),
            "dimension": str(row["dimension"]),
            "per SD": f"{row['effect'].replace('_', ' ')} {told(row)}",
            "p of the spline": p_value(row["p_spline"]),
            "p, Holm": p_value(row["p_adjusted"]),
            "patients": HIDDEN if row["n"] is None else count(row["n"]),
            "events": count(row["events"]),
            "note": row["note"] or "",
        }
        for row in shown.iter_rows(named=True)
    ]
    tested = table["p_adjusted"].drop_nulls()
    whole = f"The {len(shown)} of {len(table)} with the smallest p (all of them: outcomes_associations.csv of the tracked run)"
    return Section(
        "outcomes",
        "Continuous dimensions and outcomes",
        (
            "No strata were found, so what follows is told of the continuous scores: each by itself, per standard deviation, adjusted "
            "for the declared covariates and the country. The p-value is of the score's whole spline, after Holm over all "
            f"{len(tested)} that were tested: {int((tested <= HOLM_LEVEL).sum())} of them lie at {HOLM_LEVEL:g} or below.",
        ),
        (
            (
                whole if len(shown) < len(table) else "Each outcome or column and each score",
                without_empty_columns(rows),
            ),
        ),
    )


def _name(row: Mapping[str, Any]) -> str:
    return str(row["name"]).replace("_", " ") + (f": {row['level']}" if row["level"] else "")
