"""How much centres differ in discrimination and calibration, and where a new centre is expected."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.evaluation.combining import UnitFigures, centre_units, unit_figures
from experiments.evaluation.intervals import (
    Floats,
    between_interval,
    from_scale,
    prediction_interval,
    random_effects,
)
from experiments.evaluation.measures import names_of
from experiments.evaluation.sample import Part, Sample

HETEROGENEOUS = ("auroc", "concordance", "observed_to_expected", "calibration_slope")
FEWEST_UNITS = 3  # two units do not show how units vary


def heterogeneity_rows(sample: Sample, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Return tau^2, I^2 and the prediction interval of each metric between centres; none for any other scheme.

    Args:
        sample: the scheme's evaluated rows.
        parts: one learner's test folds.
    """
    if sample.kind != "leave_centre_out":
        return []
    units = centre_units(parts)
    wanted = [name for name in HETEROGENEOUS if name in names_of(parts)]
    return [{"metric": name, **between_units(unit_figures(units, name))} for name in wanted]


def between_units(own: UnitFigures) -> dict[str, Any]:
    """Return the variance between units with its interval, its share, and where a new unit is expected.

    Args:
        own: a measure's figures of the units.
    """
    row: dict[str, Any] = dict.fromkeys(
        ("between", "between_lower", "between_upper", "share", "new_lower", "new_upper")
    )
    row |= {"scale": own.scale, "units": len(own.effects), "note": own.note}
    if own.constant and len(own.effects):
        return {**row, "note": f"{own.note}; constant in every unit"}
    if len(own.effects) < FEWEST_UNITS:
        return {**row, "note": f"{own.note}; fewer than {FEWEST_UNITS} units do not show how units vary"}
    between = random_effects(own.effects, own.variances).between
    lower, upper = between_interval(own.effects, own.variances)
    low, high = (from_scale(bound, own.scale) for bound in prediction_interval(own.effects, own.variances))
    return row | {
        "between": between,
        "between_lower": lower,
        "between_upper": max(upper, between),
        "share": between / (between + typical_variance(own.variances)),
        "new_lower": low,
        "new_upper": high,
    }


def typical_variance(variances: Floats) -> float:
    """Return the typical variance within units, to which tau^2 is set in proportion for I^2.

    Higgins and Thompson 2002, doi 10.1002/sim.1186, equation 9.
    """
    weights = 1 / variances
    total = float(weights.sum())
    return (len(weights) - 1) * total / (total**2 - float(np.square(weights).sum()))
