"""Schemas of what stage probe writes."""

import dataframely as dy

SCHEMA_VERSION = 1
PARTS = ("risk", "classification", "calibration")


class Probed(dy.Schema):
    """What all tables share: one outcome's lead learner at the main horizon."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    learner = dy.String(nullable=False)
    horizon = dy.Float64(nullable=False)  # days; 0 for a label


class Instability(Probed):
    """How far risks of refits on bootstrap samples lie from the final model's, aggregated so that no row is a patient."""

    part = dy.Enum(PARTS, nullable=False)
    draw = dy.Int32(nullable=True)  # of calibration: the refit; 0 the final model
    # risk: mean risk of the group by the final model; classification: threshold; calibration: mean risk predicted
    x = dy.Float64(nullable=True)
    # risk: mean absolute difference; classification: share of refits on the other side; calibration: share observed
    y = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)  # risk: mean over the group of each row's 2.5th percentile over refits
    upper = dy.Float64(nullable=True)  # and of its 97.5th
    n = dy.Int64(nullable=True)  # rows


class Permutations(Probed):
    """Out-of-fold AUROC of the whole procedure with permuted outcomes; number 0 is with the outcomes as they are."""

    permutation = dy.Int32(nullable=False, min=0)
    auroc = dy.Float64(nullable=True)  # null: not estimable in any fold


class LearningCurve(Probed):
    """Out-of-fold figures of the whole procedure on parts of the training patients; fold null: the mean over folds."""

    share = dy.Float64(nullable=False, min=0, max=1)
    draw = dy.Int32(nullable=False, min=0)
    fold = dy.Int32(nullable=True, min=0)
    train_patients = dy.Int64(nullable=True)  # null: suppressed
    train_events = dy.Int64(nullable=True)  # patients with the event by the main horizon
    auroc = dy.Float64(nullable=True)
    calibration_slope = dy.Float64(nullable=True)
