"""Schemas of the strata's result files."""

import dataframely as dy


class Strata(dy.Schema):
    """Each patient's stratum at the first prediction time; row-level, never leaves the workspace."""

    prediction_id = dy.String(primary_key=True)
    stratum = dy.Int32(nullable=False, min=1)  # the most probable one
    probability = dy.Float64(nullable=False, min=0, max=1)  # of that stratum
    entropy = dy.Float64(nullable=False, min=0, max=1)  # of all, over log k: 0 is certain


class Memberships(dy.Schema):
    """Each patient's probability of each stratum; row-level, never leaves the workspace."""

    prediction_id = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    probability = dy.Float64(nullable=False, min=0, max=1)


class Dimensions(dy.Schema):
    """Each patient's continuous scores, which later stages use where there are no strata; row-level."""

    prediction_id = dy.String(primary_key=True)
    dimension = dy.Int32(primary_key=True, min=1)
    score = dy.Float64(nullable=False)  # in standard deviations


class Loadings(dy.Schema):
    """What the dimensions are made of."""

    dimension = dy.Int32(primary_key=True, min=1)
    column = dy.String(primary_key=True)
    loading = dy.Float64(nullable=False)  # correlation of the column with the dimension


class Selection(dy.Schema):
    """One row per candidate number of strata."""

    k = dy.Int32(primary_key=True, min=1)
    prediction_strength = dy.Float64(nullable=True, min=0, max=1)  # mean over splits
    prediction_strength_error = dy.Float64(nullable=True, min=0)  # its standard error over splits
    consensus = dy.Float64(nullable=True)  # proportion of ambiguous pairs (PAC)
    consensus_null = dy.Float64(nullable=True)  # its mean in the null's draws
    consensus_index = dy.Float64(nullable=True)  # log10 of the null's over this one (RCSI)
    consensus_p = dy.Float64(nullable=True, min=0, max=1)
    gap = dy.Float64(nullable=True)  # Tibshirani 2001
    gap_error = dy.Float64(nullable=True, min=0)
    bic = dy.Float64(nullable=True)
    likelihood_ratio_p = dy.Float64(nullable=True, min=0, max=1)  # bootstrap test of k against k - 1 strata
    separation = dy.Float64(nullable=True)  # the statistic of the null test at this number
    smallest = dy.Float64(nullable=True, min=0, max=1)  # share of the smallest stratum
    chosen = dy.Bool(nullable=False)


class Tests(dy.Schema):
    """Every figure of every test of the chain."""

    test = dy.String(primary_key=True)
    figure = dy.String(primary_key=True)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    threshold = dy.Float64(nullable=True)  # null: reported beside, decides nothing
    passed = dy.Bool(nullable=True)
    n = dy.Int64(nullable=True)  # draws, resamples or patients


class Draws(dy.Schema):
    """The statistics of each draw of each null; draw 0 of null "observed" is the patients themselves."""

    null = dy.String(primary_key=True)
    draw = dy.Int32(primary_key=True, min=0)
    k = dy.Int32(primary_key=True, min=1)
    separation = dy.Float64(nullable=True)
    consensus = dy.Float64(nullable=True)


class Stability(dy.Schema):
    """One row per stratum of the chosen number, also where the claim is that there are none."""

    stratum = dy.Int32(primary_key=True, min=1)
    n = dy.Int64(nullable=True)  # patients; null where suppressed
    mean_jaccard = dy.Float64(nullable=False, min=0, max=1)
    lower = dy.Float64(nullable=True)  # 2.5th and 97.5th percentile over bootstrap samples
    upper = dy.Float64(nullable=True)
    stable = dy.Bool(nullable=False)


class Replication(dy.Schema):
    """One row per direction and figure: found in `first`, looked for again in `second`."""

    first = dy.String(primary_key=True)
    second = dy.String(primary_key=True)
    figure = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=0)  # 0: of all
    estimate = dy.Float64(nullable=True)
    n = dy.Int64(nullable=True)


class Profile(dy.Schema):
    """What the patients of each stratum are like."""

    stratum = dy.Int32(primary_key=True, min=1)
    column = dy.String(primary_key=True)
    level = dy.String(primary_key=True)  # of a category; "" for a number
    n = dy.Int64(nullable=True)  # patients with a value, or at the level; null where suppressed
    mean = dy.Float64(nullable=True)  # of a number in its unit; share of a level
    effect = dy.Float64(nullable=True)  # (mean of the stratum - mean of all) / standard deviation of all
    effect_lower = dy.Float64(nullable=True)  # 95 % bootstrap interval, given the strata
    effect_upper = dy.Float64(nullable=True)
    made = dy.Bool(nullable=False)  # the column made the strata: a p-value of it would mean nothing


class DropoutComparison(dy.Schema):
    """Of classes of growth: mean courses of the classes and of all patients, with drop-out in the model and without."""

    modelled = dy.Bool(primary_key=True)  # drop-out
    stratum = dy.Int32(primary_key=True, min=0)  # 0: all patients
    variable = dy.String(primary_key=True)
    years = dy.Float64(primary_key=True, min=0)
    share = dy.Float64(nullable=False, min=0, max=1)  # of the patients, as the model estimates it
    mean = dy.Float64(nullable=False)
