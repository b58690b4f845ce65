"""What a new centre's own patients add: updates of the intercept first, failures of the slope reported apart.

Van Calster 2016 (doi 10.1016/j.jclinepi.2015.12.005) for the levels of calibration; Janssen 2008 (doi
10.1016/j.jclinepi.2007.04.018) and Vergouwe 2017 (doi 10.1002/sim.7179) for the order of updates. Event probabilities carry
censoring weights, as everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.evaluation.intervals import random_effects
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from experiments.examination.estimates import NORMAL, enough, measure_of, spread
from experiments.examination.local_updates import (
    EXACT,
    HALF,
    METHODS,
    SHRUNK,
    SLOPE,
    CentreErrors,
    centre_errors,
)
from experiments.examination.setting import Evaluated, Examination, Row
from experiments.seeds import seed_for

CLOSE = 1.2  # times the error with half of the centre's patients: close enough, the declared rule
FEWEST_CENTRES = 3
QUARTILES = (25, 50, 75)
OE, LOSS = "absolute_log_oe", "log_loss"


def recalibrated(
    examination: Examination, tested: Evaluated, patients: Sequence[int], draws: int
) -> tuple[list[Row], dict[str, Any], str]:
    """Return the rows and the summary of one leave-centre-out scheme, or why there are none.

    Args:
        examination: what the outcome's examinations share.
        tested: the scheme's rows as evaluated.
        patients: numbers of local patients.
        draws: of local patients, in each centre.
    """
    if tested.sample.kind != "leave_centre_out":
        return [], {}, "the scheme leaves no centre out"
    centres = usable_centres(tested.parts, examination.smallest_cell)
    if len(centres) < FEWEST_CENTRES:
        return (
            [],
            {},
            "fewer than three centres have ten events and ten non-events, and patients enough to be published",
        )
    intercepts = _intercepts(centres)
    scheme, outcome = tested.sample.scheme, examination.outcome
    errors = {
        name: centre_errors(
            centre,
            sorted(set(patients)),
            draws,
            between_others(intercepts, name),
            seed_for(examination.seed, "recalibration", outcome, scheme, name),
        )
        for name, centre in centres.items()
    }
    numbers = [
        k for k in sorted({0, *patients}) if 2 * sum(k <= own.local for own in errors.values()) >= len(errors)
    ]
    rows = [
        {"scheme": scheme, **_row(errors, method, measure, k)}
        for method in METHODS
        for measure in (OE, LOSS)
        for k in [*numbers, HALF]
    ]
    return rows, _summary(rows, errors, centres, numbers), ""


def usable_centres(parts: Sequence[Part], smallest_cell: int) -> dict[str, Part]:
    """Return the centres that can be updated and judged, by name."""
    found = {
        str(name): part.take(part.places["centre"] == name)
        for part in parts
        for name in np.unique(part.places["centre"])
    }
    return {
        name: centre
        for name, centre in sorted(found.items())
        if enough(centre) and min(centre.cell()) >= smallest_cell
    }


def between_others(intercepts: Mapping[str, tuple[float, float]], name: str) -> float:
    """Return the variance of calibration in the large between the centres other than one, by REML."""
    effects, variances = np.array([pair for other, pair in intercepts.items() if other != name]).T
    return random_effects(effects, variances).between if len(effects) > 1 else 0.0


def _intercepts(centres: Mapping[str, Part]) -> dict[str, tuple[float, float]]:
    quantity = measure_of("calibration_intercept")
    found = {}
    for name, centre in centres.items():
        value = quantity.value(centre)
        if np.isfinite(value):
            found[name] = (value, spread(centre, quantity, value))
    return found


def _row(errors: Mapping[str, CentreErrors], method: str, measure: str, k: int) -> Row:
    used = [own for own in errors.values() if k <= own.local]
    values, most = (_joined(used, method, measure, number) for number in (k, HALF))
    found = {"method": method, "measure": measure, "patients": None if k == HALF else k, "centres": len(used)}
    if not len(values) or not len(most):
        return found | dict.fromkeys(("estimate", "lower", "upper", "relative")) | {"interval_kind": "none"}
    lower, middle, upper = (float(value) for value in np.percentile(values, QUARTILES))
    if measure == LOSS:
        middle, with_half = float(values.mean()), float(most.mean())
    else:
        with_half = float(np.median(most))
    return found | {
        "estimate": middle,
        "lower": lower,
        "upper": upper,
        "interval_kind": "quartiles",
        "relative": middle / with_half if with_half > 0 else None,
    }


def _joined(errors: Sequence[CentreErrors], method: str, measure: str, k: int) -> Floats:
    values = np.concatenate([getattr(own, measure)[method, k] for own in errors])
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def _summary(
    rows: Sequence[Row],
    errors: Mapping[str, CentreErrors],
    centres: Mapping[str, Part],
    numbers: Sequence[int],
) -> dict[str, Any]:
    place = {(row["method"], row["measure"], row["patients"]): row for row in rows}
    some = [k for k in numbers if k > 0]
    mean = {method: _mean([place[method, OE, k]["estimate"] for k in some]) for method in (EXACT, SHRUNK)}
    exact, shrunk = mean[EXACT], mean[SHRUNK]
    chosen = SHRUNK if exact is not None and shrunk is not None and shrunk < exact else EXACT
    return {
        "centres": len(centres),
        "intercept": {
            "method": chosen,
            "why": "the lower median |log observed / expected|, averaged over the numbers of local patients",
            "mean_error": mean,
            "local_patients": smallest_close(place, chosen, numbers),
            "rule": f"the smallest number at which the median |log observed / expected| is at most {CLOSE:g} times that "
            "with half of the patients of the same centres",
        },
        "slope": slope_failures(centres)
        | {
            "helps_from": helps_from(errors, chosen, some),
            "rule": "the smallest number from which on, at every larger one, the mean log loss with a slope is lower "
            f"than with the {chosen} alone; null: at none",
        },
    }


def smallest_close(place: Mapping[Any, Row], method: str, numbers: Sequence[int]) -> int | None:
    """Return the smallest number of local patients whose error is close to that of half of all; None: at none."""
    for k in numbers:
        relative = place[method, OE, k]["relative"]
        if relative is not None and relative <= CLOSE:
            return k
    return None


def slope_failures(centres: Mapping[str, Part]) -> dict[str, Any]:
    """Return the share of centres whose calibration slope has a 95 % interval without 1; an intercept does not move it."""
    quantity = measure_of("calibration_slope")
    outside, tested = 0, 0
    for centre in centres.values():
        value = quantity.value(centre)
        variance = spread(centre, quantity, value)
        if np.isfinite(variance) and variance > 0:
            tested += 1
            outside += int(abs(value - 1) > NORMAL * np.sqrt(variance))
    return {
        "centres": tested,
        "share_failing": outside / tested if tested else None,
        "expected_by_chance": 0.05,
    }


def helps_from(errors: Mapping[str, CentreErrors], method: str, numbers: Sequence[int]) -> int | None:
    """Return the smallest number of local patients from which on a slope lowers the log loss; None: at none."""
    first = None
    for k in reversed(numbers):
        used = [own for own in errors.values() if k <= own.local]
        gain = np.concatenate([own.log_loss[method, k] - own.log_loss[SLOPE, k] for own in used])
        seen = gain[np.isfinite(gain)]
        if not len(seen) or seen.mean() <= 0:
            break
        first = k
    return first


def _mean(values: Sequence[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return float(np.mean(seen)) if seen else None
