"""Schemas of what stage examine writes."""

import dataframely as dy

from experiments.results import INTERVAL_KINDS

EXAMINED_INTERVALS = (
    *INTERVAL_KINDS,
    "patient_variance",  # a frozen model on other patients: variance by influence, a patient's rows summed
    "quartiles",  # the middle half of centres and draws
)


class Examined(dy.Schema):
    """What all tables share: one outcome's lead learner under one scheme at the main horizon."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    horizon = dy.Float64(nullable=False)  # days; 0 for a label


class Figure(Examined):
    """One figure with its interval."""

    metric = dy.String(nullable=False)
    estimate = dy.Float64(nullable=True)  # null: not estimable, or suppressed
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    interval_kind = dy.Enum(EXAMINED_INTERVALS, nullable=False)
    n = dy.Int64(nullable=True)  # rows; null where suppressed
    events = dy.Int64(nullable=True)
    note = dy.String(nullable=True)


class Sensitivity(Figure):
    """The same figures under another assumption, or in other rows."""

    analysis = dy.String(nullable=False)  # as evaluated, hazard after censoring, tipping point, ...
    level = dy.String(nullable=False)  # "2 times", "first prediction of each patient", ...
    group = dy.String(nullable=True)  # the left-out group where each stands on its own; null: combined


class Recalibration(Examined):
    """Error in a new centre after an update on some of its patients, over centres and draws."""

    method = dy.String(nullable=False)  # intercept, shrunk intercept, intercept and slope
    measure = dy.String(nullable=False)  # absolute_log_oe: median; log_loss: mean
    patients = dy.Int64(nullable=True)  # local patients used; null: half of the centre's
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    interval_kind = dy.Enum(EXAMINED_INTERVALS, nullable=False)
    relative = dy.Float64(nullable=True)  # to half of the patients of the same centres by the same method
    centres = dy.Int64(nullable=False)


class LabelSets(Figure):
    """Shares and coverage of conformal label sets."""

    level = dy.Float64(nullable=False)  # wanted coverage
    group = dy.String(nullable=True)  # the centre, or the left-out group; null: all


class Abstaining(Figure):
    """What abstaining costs, over rules and levels."""

    rule = dy.String(nullable=False)  # never, no single label, near the threshold
    level = dy.Float64(nullable=False)  # wanted coverage, or half the width of the band


class Patterns(Figure):
    """Figures of the predictions that have the same modalities."""

    group = dy.String(nullable=True)  # the left-out group where each stands on its own; null: combined
    pattern = dy.String(nullable=False)


class SubgroupDifferences(Figure):
    """Differences of one level of a subgroup from the others, within fold; `observed_to_expected` as a ratio."""

    variable = dy.String(nullable=False)
    level = dy.String(nullable=False)
    others = dy.String(nullable=False)  # the other level, or "all others"
    group = dy.String(nullable=True)  # the left-out group where each stands on its own; null: combined
    p = dy.Float64(nullable=True)
    p_holm = dy.Float64(nullable=True)  # over all differences of this scheme, group and metric
    tests = dy.Int64(nullable=False)  # so many
