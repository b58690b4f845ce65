"""What a site reports of a frozen model: aggregated figures, differences of definition, recalibration and drift."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from experiments.bundle.contents import Definition
from experiments.bundle.matching import Match
from experiments.bundle.packing import Bundle
from experiments.bundle.summaries import WORTH_A_LOOK
from experiments.openings import CODE
from pipeline.cards.environment import TEMPLATES as CARDS
from pipeline.cards.environment import environment
from pipeline.cards.wording import METRICS, interval, number
from pipeline.carry.site import SiteResult
from pipeline.settings.study import Study

TEMPLATES = Path(__file__).parent / "templates"
FLAT = 0.8  # a slope below this, with its interval below 1, is not mended by moving the intercept


def report_of(
    bundle: Bundle, study: Study, site: Definition, match: Match, result: SiteResult, *, code: str
) -> dict[str, Any]:
    """Return the report as JSON values; every figure in it stands in the result's tables.

    Args:
        bundle: the frozen model.
        study: the site's settings.
        site: what they define.
        match: differences found before anything was built.
        result: what was evaluated.
        code: hash of this site's code, to be compared with the bundle's.
    """
    head = bundle.manifest
    whole = result.metrics.filter((pl.col("learner") == head.learner) & pl.col("subgroup").is_null())
    return {
        "bundle": {
            **head.model_dump(mode="json", exclude={"files", "seal"}),
            "fingerprint": bundle.fingerprint,
        },
        "site": {
            "study": study.study,
            "title": study.title,
            "psystrata": version("psystrata"),
            "disclosure": study.disclosure.level,
        },
        "same_code": head.choices.sections.get(CODE) == code,
        "estimands": estimands(bundle.definition, site),
        "differences": list(match.differences),
        "notes": list(match.notes),
        "columns_missing_here": sorted({*match.absent, *result.absent}),
        "figures": _figures(whole),
        "by_centre": _subgroups(result.metrics, head.learner),
        "reference": _published(bundle),
        "recalibration": recalibrations(whole),
        "drift": _drift(result.drift),
        "weights": result.weights,
    }


def estimands(ours: Definition, site: Definition) -> list[dict[str, str]]:
    """Return the two estimands side by side, one item each."""
    bundle, here = ours.outcome.get("estimand", {}), site.outcome.get("estimand", {})
    return [
        {"item": key, "bundle": str(bundle.get(key, "")), "site": str(here.get(key, ""))}
        for key in sorted({*bundle, *here})
    ]


def recalibrations(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    """Return for each group and horizon what adding the calibration intercept to the log-odds would do, and what not.

    The intercept alone is moved: it takes few local patients, and a slope that is off is another failure (Van Calster 2016,
    doi 10.1016/j.jclinepi.2015.12.005). It is a suggestion: the frozen model's own figures stand as they are.
    """
    found = []
    for keys, part in metrics.filter(pl.col("cause") == 1).group_by("group", "horizon", maintain_order=True):
        figures = {row["metric"]: row for row in part.iter_rows(named=True)}
        moved, slope = figures.get("calibration_intercept"), figures.get("calibration_slope")
        if moved is None or moved["estimate"] is None:
            continue
        found.append(
            {
                "group": keys[0],
                "horizon": keys[1],
                "add_to_log_odds": moved["estimate"],
                "lower": moved["lower"],
                "upper": moved["upper"],
                "slope": None if slope is None else slope["estimate"],
                "sentence": _advice(moved, slope),
            }
        )
    return found


def report_html(report: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the report as one HTML file without links to anything outside it."""
    made = environment(autoescape=True)
    made.loader = jinja2.FileSystemLoader([TEMPLATES, CARDS])
    return made.get_template("carried.html.j2").render(report=report, figures=figures, tables=_worded(report))


def _advice(moved: Mapping[str, Any], slope: Mapping[str, Any] | None) -> str:
    within = moved["lower"] is not None and moved["lower"] <= 0 <= moved["upper"]
    said = (
        "The mean risk is right within its interval: no recalibration is called for."
        if within
        else f"Risks are too {'low' if moved['estimate'] > 0 else 'high'} on average: add "
        f"{number(moved['estimate'], signed=True)} to their log-odds."
    )
    if slope is None or slope["estimate"] is None:
        return said
    failed = slope["estimate"] < FLAT and (slope["upper"] is None or slope["upper"] < 1)
    return said + (
        " The slope is too flat, which moving the intercept does not mend: high risks are too high."
        if failed
        else ""
    )


def _figures(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    keys = [
        "group",
        "cause",
        "horizon",
        "metric",
        "estimate",
        "lower",
        "upper",
        "interval_kind",
        "n",
        "events",
        "note",
    ]
    return metrics.select(keys).to_dicts()


def _subgroups(metrics: pl.DataFrame, learner: str) -> list[dict[str, Any]]:
    own = metrics.filter((pl.col("learner") == learner) & pl.col("subgroup").is_not_null())
    keys = ["subgroup", "cause", "horizon", "metric", "estimate", "lower", "upper", "n", "events", "note"]
    return own.select(keys).to_dicts()


def _published(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the figures that the bundle's study published of its own validation, whole schemes and directions alone."""
    rows = [figure for figure in bundle.reference.figures if figure.subgroup is None and figure.cause == 1]
    keys = {"scheme", "group", "horizon", "metric", "estimate", "lower", "upper", "interval_kind"}
    return [figure.model_dump(include=keys) for figure in rows]


def _drift(drift: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the columns that differ most: mean differences in spreads of the reference, distances of shares."""
    kinds = ("standardised_mean_difference", "total_variation")
    found = drift.filter(pl.col("figure").cast(pl.String).is_in(kinds) & pl.col("difference").is_not_null())
    ranked = found.sort(pl.col("difference").abs(), descending=True).select("column", "figure", "difference")
    return [{**row, "worth_a_look": abs(row["difference"]) > WORTH_A_LOOK} for row in ranked.to_dicts()]


def _worded(report: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return the report's tables as texts."""
    return {
        "figures": [_line(row, {"group": row["group"] or ""}) for row in report["figures"]],
        "by_centre": [_line(row, {"subgroup": row["subgroup"]}) for row in report["by_centre"]],
        "reference": [
            {
                "validation": row["scheme"], "left out": row["group"] or "combined", "horizon": _days(row["horizon"]),
                "figure": METRICS.get(row["metric"], row["metric"]), "estimate": number(row["estimate"]),
                "95 % interval": interval(row["lower"], row["upper"]),
            }
            for row in _headline(report["reference"])
        ],
        "drift": [
            {"column": row["column"], "figure": row["figure"].replace("_", " "),
             "difference": number(row["difference"], signed=row["figure"] != "total_variation"),
             "worth a look": "yes" if row["worth_a_look"] else ""}
            for row in report["drift"][:40]
        ],
        "recalibration": [
            {"group": row["group"] or "", "horizon": _days(row["horizon"]), "what to do": row["sentence"]}
            for row in report["recalibration"]
        ],
    }  # fmt: skip


def _headline(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    shown = ("auroc", "observed_to_expected", "calibration_slope")
    return [row for row in rows if row["metric"] in shown and row["estimate"] is not None]


def _line(row: Mapping[str, Any], place: Mapping[str, str]) -> dict[str, str]:
    return {
        **place,
        "horizon": _days(row["horizon"]),
        "cause": str(row["cause"]),
        "figure": METRICS.get(row["metric"], row["metric"]),
        "estimate": number(row["estimate"]),
        "95 % interval": interval(row["lower"], row["upper"]),
        "n": number(row["n"]),
        "events": number(row["events"]),
        "note": row["note"] or "",
    }


def _days(horizon: float) -> str:
    return f"{horizon:g} days" if horizon else ""
