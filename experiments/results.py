"""Schemas of the result files: every number on a card or in MLflow stands in one of these."""

import dataframely as dy

SCHEMA_VERSION = 1

# What an interval is of; a metric without one says "none".
INTERVAL_KINDS = (
    "none",
    "corrected_resampling",  # new patients of the same centres: Nadeau-Bengio variance over outer folds
    "patient_bootstrap",  # a frozen model on other patients
    "random_effects",  # the mean over centres, Hartung-Knapp-Sidik-Jonkman
    "prediction_interval",  # where a new centre is expected
)


class Splits(dy.Schema):
    """Which rows each outer fold tests; it trains on the eligible rows of all patients that it does not test."""

    scheme = dy.String(primary_key=True)
    repeat = dy.Int32(primary_key=True, min=0)
    fold = dy.Int32(primary_key=True, min=0)
    prediction_id = dy.String(primary_key=True)
    group = dy.String(nullable=False)  # "fold 1", "FR", "centres A, B, C"


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
    n = dy.Int64(nullable=True)  # rows; null where suppressed
    events = dy.Int64(nullable=True)
    note = dy.String(nullable=True)  # why an estimate is missing, what was pooled


class Curves(dy.Schema):
    """Points of calibration and decision curves, aggregated so that no point is a patient."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    scheme = dy.String(nullable=False)
    curve = dy.Enum(["calibration", "decision", "treat_all"], nullable=False)
    point = dy.Int32(nullable=False)
    x = dy.Float64(nullable=True)  # mean predicted risk, or threshold
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
    learner = dy.String(nullable=False)
    reference = dy.String(nullable=False)
    group = dy.String(nullable=True)  # the left-out country; null: combined over folds or centres
    metric = dy.String(nullable=False)
    difference = dy.Float64(nullable=True)  # learner minus reference
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    interval_kind = dy.Enum(INTERVAL_KINDS, nullable=False)
    folds = dy.Int32(nullable=False)


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
    mean_absolute = dy.Float64(nullable=False, min=0)  # log-odds, mean over folds
    fold_spread = dy.Float64(nullable=True)  # standard deviation over folds; null for one fold
    direction = dy.Float64(
        nullable=True
    )  # Spearman correlation of value and contribution; null for categories
    n = dy.Int64(nullable=True)
