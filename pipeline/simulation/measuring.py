"""Measuring: what each centre's instruments show at every visit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.simulation.dials import Simulation
from pipeline.simulation.marker_values import (
    LOWEST_LDL,
    STABLE,
    Traits,
    friedewald,
    own_share,
    shared_part,
    to_unit,
)
from pipeline.simulation.patients import Latent
from pipeline.simulation.plates import Plates, draw_plates
from pipeline.simulation.variables import (
    ADDED_MARKERS,
    ALL_MARKERS,
    BASELINE_ONLY_OTHERS,
    CATEGORIES,
    MARKERS,
    PANELS,
)
from pipeline.simulation.world import Array, Centre

PANEL_SKIPPED = 0.06  # share of visits at which a panel is not done at all
CRP_LIMIT = 0.5  # mg/L
LDL_ERROR = 0.15  # SD, mmol/L
WORSE = {"madrs": 1.0, "gaf": -1.0}  # which way a score goes when patients get worse


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


def limits_of_detection(dials: Simulation) -> dict[str, float]:
    """Return each limited marker's limit in its unit; the dial multiplies the published shares under it."""
    if dials.limit_of_detection == 0:
        return {}
    limits = {
        name: float(
            np.round(
                np.exp(
                    np.log(marker.centre) + marker.spread * norm.ppf(dials.limit_of_detection * marker.below)
                ),
                marker.decimals,
            )
        )
        for name, marker in ALL_MARKERS.items()
        if marker.below > 0
    }
    return {"crp": CRP_LIMIT, **limits}


@dataclass(frozen=True)
class Sources:
    """The generators of measuring: of what there was first, and of markers and plates that came later."""

    draw: Generator
    added: Generator


def measure(
    latent: Latent,
    traits: Traits,
    visits: pl.DataFrame,
    *,
    centres: tuple[Centre, ...],
    dials: Simulation,
    relapsing: NDArray[np.bool_],
    sources: Sources,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per visit, and the laboratory's readings of its pool.

    A row holds patient (index), number, then a column per variable, null where not measured, and the plate of its sample.
    Values under a limit of detection hold the limit and are marked in the column `<variable>_below`.
    """
    draw, added = sources.draw, sources.added
    at = _occasions(
        latent, traits, visits, centres=centres, dials=dials, relapsing=relapsing, sources=sources
    )
    columns: dict[str, Any] = {name: _seen(name, at, draw) for name in MARKERS}
    tall = traits.values["height"][at.who]
    columns["weight"] = np.round(columns.pop("bmi") * (tall / 100) ** 2, 1)
    columns |= {name: _seen(name, at, added) for name in ADDED_MARKERS}
    columns["ldl"] = _measured_ldl(columns, at, added)
    for name, limit in limits_of_detection(dials).items():
        below = columns[name] < limit
        columns[name] = np.where(below, limit, columns[name])
        columns[f"{name}_below"] = below
    columns.update(_categories(latent, at.who, draw, first=at.first, dials=dials, missing=at.missing))
    frame = visits.select("patient", "number").with_columns(
        **{name: pl.Series(values, nan_to_null=True) for name, values in columns.items()},
        plate=at.plates.names,
    )
    return frame, at.plates.pools


@dataclass(frozen=True)
class _Occasions:
    """The visits as the laboratories see them: arrays with one entry per visit."""

    latent: Latent
    traits: Traits
    dials: Simulation
    centres: tuple[Centre, ...]
    who: NDArray[np.int64]
    place: NDArray[np.int64]
    first: NDArray[np.bool_]
    years: Array
    absent: Mapping[str, NDArray[np.bool_]]
    missing: Array
    plates: Plates


def _occasions(
    latent: Latent,
    traits: Traits,
    visits: pl.DataFrame,
    *,
    centres: tuple[Centre, ...],
    dials: Simulation,
    relapsing: NDArray[np.bool_],
    sources: Sources,
) -> _Occasions:
    who = visits["patient"].to_numpy()
    place = latent.people["place"].to_numpy()[who]
    absent = _absent_panels(centres, place, sources.draw)
    country = latent.people["country"].to_numpy()[who]
    return _Occasions(
        latent,
        traits,
        dials,
        centres,
        who,
        place,
        (visits["number"] == 0).to_numpy(),
        visits["number"].cast(pl.Float64).to_numpy(),
        absent,
        np.array([centre.missing for centre in centres])[place],
        draw_plates(country, ~absent["cytokines"], relapsing[who], dials=dials, draw=sources.added),
    )


def _seen(name: str, at: _Occasions, draw: Generator) -> Array:
    """Return what a centre's instrument shows of a marker at every visit, in its unit; nan where it was not measured."""
    marker = ALL_MARKERS[name]
    shift = np.array([centre.shifts[name] for centre in at.centres])[at.place]
    lasting, changing = np.sqrt(STABLE) * at.traits.lasting[name][at.who], np.sqrt(1 - STABLE)
    occasion = lasting + changing * draw.normal(size=len(at.who))
    later = shared_part(marker, at.latent, at.dials)[at.who] + own_share(marker, at.dials) * occasion
    error = at.dials.panel_errors.get(marker.panel, at.dials.measurement_error) * draw.normal(
        size=len(at.who)
    )
    score = np.where(at.first, at.traits.scores[name][at.who], later) + shift + error
    if name in at.plates.shifts and at.dials.plate_shift > 0:
        score = score + at.plates.shifts[name]
    if name in WORSE and at.dials.strata.change != 0:
        worsening = at.latent.stratum[at.who] == len(at.dials.strata.shares)
        score = score + WORSE[name] * at.dials.strata.change * at.years * worsening
    gone = at.absent[marker.panel] | (draw.random(len(at.who)) < at.missing)
    if marker.only:
        gone |= ~np.isin(at.latent.people["network"].to_numpy()[at.who], marker.only)
    if marker.baseline_only:
        gone |= ~at.first
    return np.where(gone, np.nan, to_unit(marker, score))


def _measured_ldl(columns: Mapping[str, Array], at: _Occasions, draw: Generator) -> Array:
    """Return LDL as measured: around what Friedewald's formula makes of the same sample."""
    error = LDL_ERROR * draw.normal(size=len(at.who))
    measured = np.maximum(np.round(friedewald(columns) + error, 2), LOWEST_LDL)
    return np.where(draw.random(len(at.who)) < at.missing, np.nan, measured)


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
