"""Schemas of the result files: every number on a card or in MLflow stands in one of these."""

import dataframely as dy
import polars as pl

SCHEMA_VERSION = 2

# What an interval is of; a metric without one says "none".
INTERVAL_KINDS = (
    "none",
    "corrected_resampling",  # new patients of the same centres: Nadeau-Bengio variance over outer folds
    "patient_bootstrap",  # a frozen model on other patients
    "random_effects",  # the mean over centres, Hartung-Knapp-Sidik-Jonkman
    "prediction_interval",  # where a new centre is expected
)


def at_horizon(frame: pl.DataFrame, horizon: float | None) -> pl.DataFrame:
    """Return the rows of Metrics, Curves, Comparisons or Ladder at a horizon in days; None: a label's."""
    return frame.filter(pl.col("horizon") == (0.0 if horizon is None else horizon))


class Splits(dy.Schema):
    """Which rows each outer fold tests; it trains on the eligible rows of all patients that it does not test."""

    scheme = dy.String(primary_key=True)
    repeat = dy.Int32(primary_key=True, min=0)
    fold = dy.Int32(primary_key=True, min=0)
    prediction_id = dy.String(primary_key=True)
    group = dy.String(nullable=False)  # "fold 1", "FR", "centres A, B, C", "from 2019-01-01"


class Predictions(dy.Schema):
    """Out-of-fold risks of one cell."""

    scheme = dy.String(primary_key=True)
    repeat = dy.Int32(primary_key=True, min=0)
    fold = dy.Int32(primary_key=True, min=0)
    prediction_id = dy.String(primary_key=True)
    cause = dy.Int8(primary_key=True, min=1)
    horizon = dy.Float64(primary_key=True)
    risk = dy.Float64(nullable=False, min=0, max=1)


class Metrics(dy.Schema):
    """One row per figure. `fold` and `group` are null for the combined figure of a scheme."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    repeat = dy.Int32(nullable=True)
    fold = dy.Int32(nullable=True)
    group = dy.String(nullable=True)
    cause = dy.Int8(nullable=False)
    horizon = dy.Float64(nullable=False)
    subgroup = dy.String(nullable=True)  # "sex: female"; null: everybody
    metric = dy.String(nullable=False)  # auroc, average_precision, brier, calibration_intercept, ...
    estimate = dy.Float64(nullable=True)  # null: not estimable, or suppressed
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    interval_kind = dy.Enum(INTERVAL_KINDS, nullable=False)
    n = dy.Int64(nullable=True)  # predictions; null where suppressed
    patients = dy.Int64(nullable=True)
    events = dy.Int64(nullable=True)
    note = dy.String(nullable=True)  # why an estimate is missing, what was pooled


class Curves(dy.Schema):
    """Points of calibration and decision curves, aggregated so that no point is a patient."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    cause = dy.Int8(nullable=False)
    horizon = dy.Float64(nullable=False)
    curve = dy.Enum(["calibration", "calibration_smooth", "decision", "treat_all"], nullable=False)
    point = dy.Int32(nullable=False)
    x = dy.Float64(nullable=True)  # predicted risk (mean of its group, or a point of the curve), or threshold
    y = dy.Float64(nullable=True)  # observed risk, or net benefit
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    n = dy.Int64(nullable=True)


class Comparisons(dy.Schema):
    """Paired differences between two learners of one outcome, within the same folds."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    cause = dy.Int8(nullable=False)
    horizon = dy.Float64(nullable=False)
    learner = dy.String(nullable=False)
    reference = dy.String(nullable=False)
    group = dy.String(nullable=True)  # the left-out country; null: combined over folds or centres
    metric = dy.String(nullable=False)
    difference = dy.Float64(nullable=True)  # learner minus reference
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    interval_kind = dy.Enum(INTERVAL_KINDS, nullable=False)
    folds = dy.Int32(nullable=False)


class Heterogeneity(dy.Schema):
    """How much centres differ, under leave-centre-out; never for two countries."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    cause = dy.Int8(nullable=False)
    horizon = dy.Float64(nullable=False)
    metric = dy.String(nullable=False)
    scale = dy.String(nullable=False)  # of the variance: identity, log, logit
    units = dy.Int32(nullable=False)  # centres, and pools of small ones
    between = dy.Float64(nullable=True, min=0)  # tau^2 by REML, on the scale
    between_lower = dy.Float64(nullable=True, min=0)  # 95 % by the generalised Q statistic
    between_upper = dy.Float64(nullable=True, min=0)
    share = dy.Float64(nullable=True, min=0, max=1)  # I^2: of the units' variance, what lies between them
    new_lower = dy.Float64(nullable=True)  # where a new centre is expected, on the metric's own scale
    new_upper = dy.Float64(nullable=True)
    note = dy.String(nullable=True)


LADDER_METRICS = ("auroc", "concordance", "observed_to_expected", "calibration_slope")


class Ladder(dy.Schema):
    """The validation ladder: one row per rung, with its figures and, between centres, their variance and a new centre's.

    A metric's columns are its estimate, its 95 % interval and what that is of, tau^2 between centres (on the scale that
    Heterogeneity names) and where a new centre is expected.
    """

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    cause = dy.Int8(nullable=False)
    horizon = dy.Float64(nullable=False)
    rung = dy.Int32(nullable=False, min=1)  # 1: the nearest to where the model was made
    scheme = dy.String(nullable=False)
    kind = dy.String(nullable=False)
    group = dy.String(nullable=True)  # the country left out
    n = dy.Int64(nullable=True)
    patients = dy.Int64(nullable=True)
    events = dy.Int64(nullable=True)
    auroc = dy.Float64(nullable=True)
    auroc_lower = dy.Float64(nullable=True)
    auroc_upper = dy.Float64(nullable=True)
    auroc_interval_kind = dy.Enum(INTERVAL_KINDS, nullable=True)
    auroc_between = dy.Float64(nullable=True, min=0)
    auroc_new_lower = dy.Float64(nullable=True)
    auroc_new_upper = dy.Float64(nullable=True)
    concordance = dy.Float64(nullable=True)  # none for a label
    concordance_lower = dy.Float64(nullable=True)
    concordance_upper = dy.Float64(nullable=True)
    concordance_interval_kind = dy.Enum(INTERVAL_KINDS, nullable=True)
    concordance_between = dy.Float64(nullable=True, min=0)
    concordance_new_lower = dy.Float64(nullable=True)
    concordance_new_upper = dy.Float64(nullable=True)
    observed_to_expected = dy.Float64(nullable=True)
    observed_to_expected_lower = dy.Float64(nullable=True)
    observed_to_expected_upper = dy.Float64(nullable=True)
    observed_to_expected_interval_kind = dy.Enum(INTERVAL_KINDS, nullable=True)
    observed_to_expected_between = dy.Float64(nullable=True, min=0)
    observed_to_expected_new_lower = dy.Float64(nullable=True)
    observed_to_expected_new_upper = dy.Float64(nullable=True)
    calibration_slope = dy.Float64(nullable=True)
    calibration_slope_lower = dy.Float64(nullable=True)
    calibration_slope_upper = dy.Float64(nullable=True)
    calibration_slope_interval_kind = dy.Enum(INTERVAL_KINDS, nullable=True)
    calibration_slope_between = dy.Float64(nullable=True, min=0)
    calibration_slope_new_lower = dy.Float64(nullable=True)
    calibration_slope_new_upper = dy.Float64(nullable=True)


class Trials(dy.Schema):
    """Every tuning trial of one cell."""

    scheme = dy.String(primary_key=True)  # "final" for the model fitted on everybody
    repeat = dy.Int32(primary_key=True)
    fold = dy.Int32(primary_key=True)
    trial = dy.Int32(primary_key=True)
    state = dy.String(nullable=False)  # complete, pruned
    score = dy.Float64(nullable=True)  # mean inner log loss
    parameters = dy.String(nullable=False)  # JSON
    chosen = dy.Bool(nullable=False)


class ShapSummary(dy.Schema):
    """SHAP values of outer-fold models on their test patients, aggregated over patients."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    column = dy.String(nullable=False)
    feature_set = dy.String(nullable=False)
    rank = dy.Int32(nullable=False, min=1)
    mean_absolute = dy.Float64(
        nullable=False, min=0
    )  # log-odds (log hazard for learners of times), mean over folds
    fold_spread = dy.Float64(nullable=True)  # standard deviation over folds; null for one fold
    direction = dy.Float64(
        nullable=True
    )  # Spearman correlation of value and contribution; null for categories
    n = dy.Int64(nullable=True)
