"""Schemas of the strata's result files."""

import dataframely as dy


class Strata(dy.Schema):
    """Each patient's stratum at the first prediction time; row-level, never leaves the workspace."""

    prediction_id = dy.String(primary_key=True)
    stratum = dy.Int32(nullable=False, min=1)
    probability = dy.Float64(nullable=False, min=0, max=1)  # of that stratum


class Selection(dy.Schema):
    """One row per candidate number of strata."""

    k = dy.Int32(primary_key=True, min=1)
    bic = dy.Float64(nullable=False)
    gain = dy.Float64(nullable=False)  # BIC of one stratum minus this one's: above 0 speaks for strata
    chosen = dy.Bool(nullable=False)  # smallest BIC


class Stability(dy.Schema):
    """One row per stratum of the chosen number, also where the claim is that there are none."""

    stratum = dy.Int32(primary_key=True, min=1)
    n = dy.Int64(nullable=True)  # patients; null where suppressed
    mean_jaccard = dy.Float64(nullable=False, min=0, max=1)
    stable = dy.Bool(nullable=False)


class Profile(dy.Schema):
    """What the patients of each stratum are like."""

    stratum = dy.Int32(primary_key=True, min=1)
    column = dy.String(primary_key=True)
    level = dy.String(primary_key=True)  # of a category; "" for a number
    n = dy.Int64(nullable=True)  # patients with a value, or at the level; null where suppressed
    mean = dy.Float64(nullable=True)  # of a number in its unit; share of a level
    effect = dy.Float64(nullable=True)  # (mean of the stratum - mean of all) / standard deviation of all
