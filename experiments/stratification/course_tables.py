"""Mean courses of the strata and how many of each still come, as tables and one figure."""

from collections.abc import Mapping
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import suppress_counts
from experiments.figures import SEQUENCE, head, literal, new_figure
from experiments.stratification.course import CourseSource
from models.trajectories.growth_clusterer import ATTENDED, LEFT

Floats = NDArray[np.float64]

FIGURES = ("mean", "lower", "upper", "expected")
FEWEST = 2  # values without which a mean has no interval
NORMAL = 1.959963984540054


class Courses(dy.Schema):
    """One row per stratum, variable and planned visit."""

    stratum = dy.Int32(primary_key=True, min=1)
    variable = dy.String(primary_key=True)
    years = dy.Float64(
        primary_key=True, min=0
    )  # since the baseline; values count for the nearest planned visit
    n = dy.Int64(nullable=True)  # patients seen then, by their most probable stratum; null where suppressed
    mean = dy.Float64(nullable=True)  # of those seen then, each weighted by the probability of the stratum
    lower = dy.Float64(nullable=True)  # 95 % interval, given the strata
    upper = dy.Float64(nullable=True)
    expected = dy.Float64(nullable=True)  # of all patients of the stratum, those who left too (mixed model)


class Staying(dy.Schema):
    """One row per stratum and planned visit."""

    stratum = dy.Int32(primary_key=True, min=1)
    years = dy.Float64(primary_key=True, min=0)
    n = dy.Int64(nullable=True)  # patients who came or could have come then, having come until then
    staying = dy.Float64(nullable=True, min=0, max=1)  # share that has come until then (product limit)


def course_tables(
    source: CourseSource, memberships: Floats, *, smallest_cell: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return schemas Courses and Staying.

    The mean of those seen is that of those who stayed; `expected` stands beside it and leaves nobody out, as far as leaving
    follows from the stratum and the values before. Variables followed on the logarithm are given on it.

    Args:
        source: the patients.
        memberships: probability of each stratum, shape (patients, k).
        smallest_cell: cells of fewer patients are suppressed; 0 for public data.
    """
    courses = suppress_counts(
        pl.DataFrame(_courses(source, memberships), infer_schema_length=None),
        counts=["n"],
        smallest_cell=smallest_cell,
        within=["variable", "years"],
        blank=FIGURES,
    )
    staying = suppress_counts(
        pl.DataFrame(_staying(source, memberships), infer_schema_length=None),
        counts=["n", "came"],
        smallest_cell=smallest_cell,
        within=["years"],
        blank=["staying"],
    )
    staying = without_small_steps(staying, smallest_cell).drop("came")
    return Courses.validate(courses, cast=True), Staying.validate(staying, cast=True)


def _courses(source: CourseSource, memberships: Floats) -> list[dict[str, Any]]:
    visits, interval = source.visits, source.plan.interval
    planned = np.rint(visits.years / interval).astype(np.int64)
    most = int(planned.max(initial=0))
    expected = source.mean_courses(memberships, np.arange(most + 1, dtype=np.float64) * interval)
    found = memberships.argmax(axis=1)
    records = []
    for stratum in range(memberships.shape[1]):
        weights = memberships[:, stratum]
        for number, variable in enumerate(visits.variables):
            for visit in range(most + 1):
                rows = (visits.variable == number) & (planned == visit)
                seen = visits.patient[rows]
                mean, error = _mean(visits.value[rows], weights[seen])
                records.append(
                    {
                        "stratum": stratum + 1,
                        "variable": variable,
                        "years": visit * interval,
                        "n": len(np.unique(seen[found[seen] == stratum])),
                        "mean": mean,
                        "lower": None if mean is None or error is None else mean - NORMAL * error,
                        "upper": None if mean is None or error is None else mean + NORMAL * error,
                        "expected": float(expected[stratum, number, visit]),
                    }
                )
    return records


def _mean(values: Floats, weights: Floats) -> tuple[float | None, float | None]:
    """Return the weighted mean and its standard error (linearised); None where there are too few values."""
    total = weights.sum()
    if len(values) < FEWEST or total < 1:
        return None, None
    mean = float(weights @ values / total)
    scatter = float((weights**2) @ (values - mean) ** 2) * len(values) / (len(values) - 1)
    return mean, float(np.sqrt(scatter) / total)


def _staying(source: CourseSource, memberships: Floats) -> list[dict[str, Any]]:
    attended, left = source.stay[ATTENDED].to_numpy(), source.stay[LEFT].to_numpy()
    found = memberships.argmax(axis=1)
    records = []
    for stratum in range(memberships.shape[1]):
        weights, still = memberships[:, stratum], 1.0
        for visit in range(int(attended.max(initial=0)) + 1):
            at_risk = (attended >= visit) | (left & (attended == visit - 1))
            if visit > 0 and (total := float(weights[at_risk].sum())) > 0:
                still *= float(weights[attended >= visit].sum()) / total
            records.append(
                {
                    "stratum": stratum + 1,
                    "years": visit * source.plan.interval,
                    "n": int((at_risk & (found == stratum)).sum()),
                    "came": int(((attended >= visit) & (found == stratum)).sum()),
                    "staying": min(still, 1.0),
                }
            )
    return records


def without_small_steps(staying: pl.DataFrame, smallest_cell: int) -> pl.DataFrame:
    """Return the frame with visits blanked at which fewer than `smallest_cell` patients, but some, were lost to a stratum.

    Numbers at risk are nested: the difference of two that are published is a count of patients too, as is that of those who could
    have come and those who came.

    Args:
        staying: stratum, years, n, came and staying, sorted by stratum and years; null where suppressed already.
        smallest_cell: 0 blanks nothing.
    """
    shown: list[bool] = []
    before: dict[int, tuple[int, ...]] = {}
    for stratum, n, came in staying.select("stratum", "n", "came").iter_rows():
        steps = (
            []
            if n is None
            else [n - came, *(abs(one - other) for one in before.get(stratum, ()) for other in (n, came))]
        )
        shown.append(n is not None and not any(0 < step < smallest_cell for step in steps))
        if shown[-1]:
            before[stratum] = (*before.get(stratum, ()), n, came)
    return staying.with_columns(
        pl.when(pl.Series(shown, dtype=pl.Boolean)).then(pl.col(name)).alias(name)
        for name in ("n", "came", "staying")
    )


def course_figure(
    courses: pl.DataFrame, staying: pl.DataFrame, title: str, *, labels: Mapping[str, str] | None = None
) -> Any:
    """Return the mean courses with intervals, a panel per variable, and the share of each stratum that still comes.

    Means are drawn as points with bars, the expected courses of all patients as lines, so that both may be told apart where
    many have left. Under the last panel stands how many could have come to each visit.

    Args:
        courses: schema Courses; suppressed cells are left out.
        staying: schema Staying.
        title: drawn above.
        labels: what to write at a variable's axis, such as name and unit.
    """
    variables = courses["variable"].unique(maintain_order=True).to_list()
    figure, made = new_figure(3.1 * (len(variables) + 1), 3.4, columns=len(variables) + 1)
    axes = np.ravel(made)
    strata = sorted(set(courses["stratum"]))
    for panel, variable in zip(axes, variables, strict=False):
        for place, stratum in enumerate(strata):
            _draw_course(panel, courses.filter(variable=variable, stratum=stratum), place, len(strata))
        panel.set_xlabel("years since baseline")
        panel.set_ylabel(literal((labels or {}).get(variable, variable)))
    end = float(np.max(staying["years"].to_numpy(), initial=0.0))
    for panel in axes:
        panel.set_xlim(-0.05 * end - 0.1, 1.05 * end + 0.1)
    last = axes[len(variables)]
    for place, stratum in enumerate(strata):
        _draw_staying(last, staying.filter(stratum=stratum), place)
    last.set_ylim(0, 1.02)
    last.set_xlabel("years since baseline")
    last.set_ylabel("share that still comes")
    head(figure, title)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4))
    return figure


def _draw_course(panel: Any, own: pl.DataFrame, place: int, strata: int) -> None:
    colour = SEQUENCE[place % len(SEQUENCE)]
    name = f"stratum {place + 1}" if strata > 1 else "all patients"
    line = own.filter(pl.col("expected").is_not_null())
    panel.plot(line["years"], line["expected"], color=colour, label=name)
    known = own.filter(pl.col("lower").is_not_null())
    if known.is_empty():
        return
    # Side by side, so that the bars of one visit do not hide one another.
    years = known["years"].to_numpy() + 0.06 * (place - (strata - 1) / 2)
    mean = known["mean"].to_numpy()
    bars = np.vstack([mean - known["lower"].to_numpy(), known["upper"].to_numpy() - mean])
    panel.errorbar(years, mean, yerr=bars, fmt="o", markersize=3.5, capsize=2, elinewidth=1.0, color=colour)


def _draw_staying(panel: Any, own: pl.DataFrame, place: int) -> None:
    colour = SEQUENCE[place % len(SEQUENCE)]
    known = own.filter(pl.col("staying").is_not_null())
    panel.plot(known["years"], known["staying"], marker="o", markersize=3.5, color=colour)
    for years, n in own.select("years", "n").iter_rows():
        text = "·" if n is None else str(n)
        panel.annotate(
            text,
            (years, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -38 - 10 * place),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=colour,
        )
