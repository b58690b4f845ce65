"""Schemas of what stage strata_outcomes writes: aggregated figures alone."""

import dataframely as dy

CORRECTIONS = ("none", "bch", "ml")
KINDS = ("time", "label", "held_out")
MEASURES = (
    "risk",  # cumulative incidence of the event by the horizon, or share with the label
    "competing",  # cumulative incidence of the competing events together
    "free_time",  # restricted mean time alive and without the event, days
    "time_lost",  # restricted mean time lost to the event, days
)
CONTRASTS = ("risk_difference", "free_time_difference", "hazard_ratio", "odds_ratio")
EFFECTS = ("hazard_ratio", "odds_ratio", "slope")
GAINS = ("concordance", "auroc", "r_squared")


class Value(dy.Schema):
    """One row per outcome and held-out column: whether strata tell more than splines of continuous scores."""

    name = dy.String(primary_key=True)
    kind = dy.Enum(KINDS, primary_key=True)
    level = dy.String(primary_key=True)  # of a held-out category; "" otherwise
    model = dy.Enum(["cox", "logistic", "linear"], nullable=False)
    n = dy.Int64(nullable=True)  # patients; null where suppressed
    events = dy.Int64(nullable=True)
    dimensions = dy.Int32(nullable=False, min=0)  # continuous scores in the smaller model
    curved = dy.Int32(nullable=False, min=0)  # of them as splines
    terms = dy.Int32(nullable=False, min=0)  # columns of the smaller model, covariates included
    statistic = dy.Float64(nullable=True)  # robust score test
    df = dy.Int32(nullable=False, min=0)  # columns of memberships that do not follow from the smaller model
    p = dy.Float64(nullable=True, min=0, max=1)
    p_adjusted = dy.Float64(nullable=True, min=0, max=1)  # Holm over all rows
    gain_metric = dy.Enum(GAINS, nullable=True)
    smaller = dy.Float64(nullable=True)  # out-of-fold figure of the smaller model
    larger = dy.Float64(nullable=True)  # and with the strata
    gain = dy.Float64(nullable=True)
    gain_lower = dy.Float64(nullable=True)
    gain_upper = dy.Float64(nullable=True)
    note = dy.String(nullable=True)  # why a figure is missing


class Incidence(dy.Schema):
    """What happened in each stratum."""

    outcome = dy.String(primary_key=True)
    measure = dy.Enum(MEASURES, primary_key=True)
    horizon = dy.Float64(primary_key=True)  # days; 0 for a label
    correction = dy.Enum(CORRECTIONS, primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)  # 95 %, bootstrap of patients within centre, given the frozen strata
    upper = dy.Float64(nullable=True)
    n = dy.Int64(nullable=True)  # patients most probably of the stratum; null where suppressed
    events = dy.Int64(nullable=True)
    note = dy.String(nullable=True)


class Contrasts(dy.Schema):
    """Differences and ratios between two strata, `stratum` against `reference`."""

    outcome = dy.String(primary_key=True)
    measure = dy.Enum(CONTRASTS, primary_key=True)
    horizon = dy.Float64(primary_key=True)  # days; 0 for a label; of a hazard ratio: the whole follow-up, 0
    correction = dy.Enum(CORRECTIONS, primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    reference = dy.Int32(primary_key=True, min=1)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)  # 95 %
    upper = dy.Float64(nullable=True)
    adjusted = dy.Bool(nullable=False)  # for the declared covariates and the country
    note = dy.String(nullable=True)


class Curves(dy.Schema):
    """Points of the cumulative incidence curves: each interval holds so many events that none is a patient's day."""

    outcome = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    day = dy.Float64(primary_key=True, min=0)
    event = dy.Float64(nullable=False, min=0, max=1)
    competing = dy.Float64(nullable=True, min=0, max=1)  # null where competing events are few


class HeldOut(dy.Schema):
    """Means and shares of columns that did not make the strata."""

    column = dy.String(primary_key=True)
    level = dy.String(primary_key=True)  # of a category; "" for a number
    correction = dy.Enum(CORRECTIONS, primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)  # 95 %, robust
    upper = dy.Float64(nullable=True)
    n = dy.Int64(nullable=True)  # with a value (of a category: at the level), most probably of the stratum
    note = dy.String(nullable=True)


class Medication(dy.Schema):
    """Description only: who is on what at the prediction time."""

    group = dy.String(primary_key=True)
    codes = dy.String(nullable=False)  # ATC groups
    stratum = dy.Int32(primary_key=True, min=1)
    on = dy.Int64(nullable=True)  # patients; null where suppressed
    patients = dy.Int64(nullable=True)
    share = dy.Float64(nullable=True, min=0, max=1)
    lower = dy.Float64(nullable=True, min=0, max=1)  # 95 %, Wilson
    upper = dy.Float64(nullable=True, min=0, max=1)
    difference = dy.Float64(nullable=True, min=-1, max=1)  # from the share of all other strata together
    difference_lower = dy.Float64(nullable=True, min=-1, max=1)  # 95 %, Newcombe
    difference_upper = dy.Float64(nullable=True, min=-1, max=1)
    warning = dy.String(nullable=False)


class Associations(dy.Schema):
    """Continuous scores and outcomes, by scores as straight lines and as splines: what there is where strata are not."""

    name = dy.String(primary_key=True)
    kind = dy.Enum(KINDS, primary_key=True)
    level = dy.String(primary_key=True)
    dimension = dy.Int32(primary_key=True, min=1)
    effect = dy.Enum(EFFECTS, nullable=False)  # per standard deviation of the score
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)  # 95 %, robust
    upper = dy.Float64(nullable=True)
    p_spline = dy.Float64(nullable=True, min=0, max=1)  # all columns of the score's spline together
    p_adjusted = dy.Float64(nullable=True, min=0, max=1)  # Holm over all rows
    n = dy.Int64(nullable=True)
    events = dy.Int64(nullable=True)
    note = dy.String(nullable=True)


class Compared(dy.Schema):
    """Strata beside a column that they were never made of or tuned to, such as a diagnosis."""

    column = dy.String(primary_key=True)
    level = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    n = dy.Int64(nullable=True)  # null where suppressed
    share = dy.Float64(nullable=True, min=0, max=1)  # of the stratum's patients with a value


TABLES: dict[str, type[dy.Schema]] = {
    "value": Value,
    "incidence": Incidence,
    "contrasts": Contrasts,
    "curves": Curves,
    "held_out": HeldOut,
    "medication": Medication,
    "associations": Associations,
    "compared": Compared,
}
