"""Measuring: true marker values at baseline, and what each centre's instruments show at every visit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.simulation.dials import Simulation
from pipeline.simulation.patients import Latent
from pipeline.simulation.variables import BASELINE_ONLY_OTHERS, CATEGORIES, MARKERS, PANELS, Marker
from pipeline.simulation.world import Array, Centre

STABLE = 0.8  # share of a marker's own variance that stays from visit to visit
PANEL_SKIPPED = 0.06  # share of visits at which a panel is not done at all
CRP_LIMIT = 0.5  # mg/L


@dataclass(frozen=True)
class Traits:
    """Each marker's own part that is neither a hidden factor's nor an instrument's: lasting, and at baseline."""

    lasting: dict[str, Array]
    scores: dict[str, Array]  # true standardised value at baseline
    values: dict[str, Array]  # true value at baseline, in the marker's unit


def true_markers(latent: Latent, dials: Simulation, draw: Generator) -> Traits:
    """Return every marker's true baseline value, before centre, country and error."""
    lasting, scores, values = {}, {}, {}
    for name, marker in MARKERS.items():
        lasting[name] = draw.normal(size=latent.people.height)
        own = np.sqrt(STABLE) * lasting[name] + np.sqrt(1 - STABLE) * draw.normal(size=latent.people.height)
        scores[name] = _shared(marker, latent, dials) + _own_share(marker, dials) * own
        values[name] = _to_unit(marker, scores[name])
    values["weight"] = values["bmi"] * (values["height"] / 100) ** 2
    return Traits(lasting, scores, values)


def metabolic_syndrome(values: dict[str, Array], women: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return who meets three of the five criteria (Grundy 2005: AHA/NHLBI, waist 102/88 cm), untreated."""
    criteria = [
        values["waist"] >= np.where(women, 88, 102),
        values["triglycerides"] >= 1.7,
        values["hdl"] < np.where(women, 1.3, 1.03),
        (values["systolic"] >= 130) | (values["diastolic"] >= 85),
        values["glucose"] >= 5.6,
    ]
    result: NDArray[np.bool_] = np.sum(criteria, axis=0) >= 3
    return result


def limits_of_detection() -> dict[str, float]:
    """Return each limited marker's limit in its unit."""
    limits = {
        name: float(
            np.round(np.exp(np.log(marker.centre) + marker.spread * norm.ppf(marker.below)), marker.decimals)
        )
        for name, marker in MARKERS.items()
        if marker.below > 0
    }
    return {"crp": CRP_LIMIT, **limits}


def measure(
    latent: Latent,
    traits: Traits,
    visits: pl.DataFrame,
    *,
    centres: tuple[Centre, ...],
    dials: Simulation,
    draw: Generator,
) -> pl.DataFrame:
    """Return one row per visit: patient (index), number, then a column per variable, null where not measured.

    Values under a limit of detection hold the limit and are marked in the column `<variable>_below`.
    """
    who = visits["patient"].to_numpy()
    first = (visits["number"] == 0).to_numpy()
    place = latent.people["place"].to_numpy()[who]
    absent = _absent_panels(centres, place, draw)
    missing = np.array([centre.missing for centre in centres])[place]
    limits = limits_of_detection()
    columns: dict[str, Any] = {}
    for name, marker in MARKERS.items():
        shift = np.array([centre.shifts[name] for centre in centres])[place]
        occasion = np.sqrt(STABLE) * traits.lasting[name][who] + np.sqrt(1 - STABLE) * draw.normal(
            size=len(who)
        )
        later = _shared(marker, latent, dials)[who] + _own_share(marker, dials) * occasion
        error = dials.measurement_error * draw.normal(size=len(who))
        columns[name] = _to_unit(marker, np.where(first, traits.scores[name][who], later) + shift + error)
        gone = absent[marker.panel] | (draw.random(len(who)) < missing)
        if marker.only:
            gone |= ~np.isin(latent.people["network"].to_numpy()[who], marker.only)
        if marker.baseline_only:
            gone |= ~first
        columns[name] = np.where(gone, np.nan, columns[name])
    tall = traits.values["height"][who]
    columns["weight"] = np.round(columns.pop("bmi") * (tall / 100) ** 2, 1)
    for name, limit in limits.items():
        below = columns[name] < limit
        columns[name] = np.where(below, limit, columns[name])
        columns[f"{name}_below"] = below
    columns.update(_categories(latent, who, draw, first=first, dials=dials, missing=missing))
    return visits.select("patient", "number").with_columns(
        **{name: pl.Series(values, nan_to_null=True) for name, values in columns.items()}
    )


def _shared(marker: Marker, latent: Latent, dials: Simulation) -> Array:
    total: Array = np.zeros(latent.people.height)
    for factor, loading in marker.loadings.items():
        total = total + loading * latent.factors[factor]
    if marker.proxy is not None:
        total = total + min(dials.proxies, _room(marker)) * latent.factors[marker.proxy]
    women = (latent.people["sex"] == "female").to_numpy()
    networks = latent.people["network"].to_numpy()
    other = np.array([marker.networks.get(name, 0.0) for name in networks])
    shared: Array = total + marker.women * women + other
    return shared


def _room(marker: Marker) -> float:
    """Return the largest correlation that the marker's loadings leave to a proxy."""
    return float(np.sqrt(1 - sum(loading**2 for loading in marker.loadings.values())))


def _own_share(marker: Marker, dials: Simulation) -> float:
    proxy = min(dials.proxies, _room(marker)) if marker.proxy is not None else 0.0
    return float(np.sqrt(_room(marker) ** 2 - proxy**2))


def _to_unit(marker: Marker, score: Array) -> Array:
    value = (
        np.exp(np.log(marker.centre) + marker.spread * score)
        if marker.log
        else marker.centre + marker.spread * score
    )
    return np.asarray(np.round(np.clip(value, marker.low, marker.high), marker.decimals), dtype=np.float64)


def _absent_panels(
    centres: tuple[Centre, ...], place: NDArray[np.int64], draw: Generator
) -> dict[str, NDArray[np.bool_]]:
    return {
        panel: np.array([panel in centre.absent_panels for centre in centres])[place]
        | (draw.random(len(place)) < PANEL_SKIPPED)
        for panel in PANELS
    }


def _categories(
    latent: Latent,
    who: NDArray[np.int64],
    draw: Generator,
    *,
    first: NDArray[np.bool_],
    dials: Simulation,
    missing: Array,
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    confused = min(0.25 * dials.measurement_error, 0.5)  # reports that say the neighbouring category
    for name, levels in CATEGORIES.items():
        if name == "fasting":
            told = np.where(draw.random(len(who)) < 0.88, "yes", "no")
        else:
            code = np.array([levels.index(value) for value in latent.people[name].to_list()])[who]
            step = np.where(draw.random(len(who)) < 0.5, 1, -1)
            moved = np.clip(code + step * (draw.random(len(who)) < confused), 0, len(levels) - 1)
            told = np.array(levels)[moved]
        empty = draw.random(len(who)) < missing
        columns[name] = pl.Series(
            [None if gone else value for gone, value in zip(empty, told.tolist(), strict=True)]
        )
    for name in BASELINE_ONLY_OTHERS:
        values = latent.people[name].to_numpy().astype(np.float64)[who]
        columns[name] = np.where(first & (draw.random(len(who)) >= missing), values, np.nan)
    return columns
