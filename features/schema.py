"""The canonical tables: what intake writes and every feature, outcome and split reads.

Times are numbers in the unit that the study declares: days since 1970-01-01 where sources hold dates, days since
baseline, or a rank where only an order is known. `available` is the time from which a value may be used as a predictor;
a window join admits only values available strictly before the prediction time.
"""

import dataframely as dy
import polars as pl

SEXES = ("female", "male")
NO_ROUTE = "not_recorded"
ROUTES = ("oral", "depot", "other", NO_ROUTE)  # depot: a long-acting injection
PSEUDONYM = "^[0-9a-f]{32}$"  # 128 bits of HMAC-SHA256


class Patients(dy.Schema):
    """One row per patient with consent."""

    patient_id = dy.String(primary_key=True, regex=PSEUDONYM)
    position = dy.Int64(nullable=False, min=0)  # canonical order; independent of pseudonyms and of file order
    # position of the first of the patients suspected of being one person; null: nobody else is
    person = dy.Int64(nullable=True, min=0)
    sex = dy.Enum(SEXES, nullable=True)
    birth_year = dy.Int32(nullable=True, min=1890, max=2100)
    age = dy.Float64(nullable=True, min=0, max=120)  # years at baseline
    age_band = dy.String(nullable=True)
    country = dy.String(nullable=True)
    centre = dy.String(nullable=True)
    network = dy.String(nullable=True)
    education_years = dy.Float64(nullable=True, min=0, max=40)


class Visits(dy.Schema):
    """One row per patient and visit."""

    patient_id = dy.String(primary_key=True)
    visit = dy.String(primary_key=True)
    time = dy.Float64(nullable=False)
    rater = dy.String(nullable=True)


class Stays(dy.Schema):
    """One row per hospital stay; where only an order is known, admission is half a rank before discharge."""

    patient_id = dy.String(primary_key=True)
    stay_id = dy.String(primary_key=True)
    admission = dy.Float64(nullable=False)
    discharge = dy.Float64(nullable=True)  # null: still in hospital
    ward = dy.String(nullable=True)
    kind = dy.String(nullable=True)
    discharged_to = dy.String(nullable=True)  # home, death, hospice, ...: decides who is discharged alive

    @dy.rule()
    def discharge_not_before_admission(cls) -> pl.Expr:  # noqa: N805
        """A stay ends after it begins."""
        return pl.col("discharge").is_null() | (pl.col("discharge") >= pl.col("admission"))


class Measurements(dy.Schema):
    """One row per value: a number or a category, never both."""

    patient_id = dy.String(primary_key=True)
    variable = dy.String(primary_key=True)
    time = dy.Float64(primary_key=True)
    replicate = dy.Int32(primary_key=True, min=0)
    available = dy.Float64(
        nullable=False, allow_inf=True
    )  # time from which the value may be used; +inf for outcome variables
    visit = dy.String(nullable=True)
    stay_id = dy.String(nullable=True)
    number = dy.Float64(nullable=True)
    category = dy.String(nullable=True)
    unit = dy.String(nullable=True)
    below_limit = dy.Bool(nullable=False)  # number then holds the limit of detection
    assay = dy.String(nullable=True)
    plate = dy.String(nullable=True)

    @dy.rule()
    def number_or_category(cls) -> pl.Expr:  # noqa: N805
        """Exactly one of number and category holds the value."""
        return pl.col("number").is_null() != pl.col("category").is_null()


class Events(dy.Schema):
    """One row per event: relapse, death, loss_to_follow_up, transfer, end_of_follow_up, ..."""

    patient_id = dy.String(primary_key=True)
    time = dy.Float64(primary_key=True)
    kind = dy.String(primary_key=True)


class Medications(dy.Schema):
    """One row per prescription."""

    patient_id = dy.String(primary_key=True)
    atc = dy.String(primary_key=True, regex="^[A-Z][0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?$")
    start = dy.Float64(primary_key=True)
    # In the key: a depot and the tablets that go before it may begin on one day.
    route = dy.Enum(ROUTES, primary_key=True)
    stop = dy.Float64(nullable=True)
    dose = dy.Float64(nullable=True, min=0)  # mg per day


class Genotypes(dy.Schema):
    """Which sample of the genotype files belongs to which patient."""

    sample_id = dy.String(primary_key=True)
    patient_id = dy.String(nullable=False)


class Families(dy.Schema):
    """Which patients are related by their genotypes; who has no relative in the study stands nowhere."""

    patient_id = dy.String(primary_key=True)
    family = dy.Int64(nullable=False, min=0)  # smallest position of the family's patients


class Ratings(dy.Schema):
    """One row per rating that several raters gave of the same interview or recording: what agreement is computed from."""

    patient_id = dy.String(primary_key=True)
    session = dy.String(primary_key=True)  # what was rated: one interview, test or recording of the patient
    rater = dy.String(primary_key=True)
    variable = dy.String(primary_key=True)
    time = dy.Float64(nullable=False)
    number = dy.Float64(nullable=True)
    category = dy.String(nullable=True)


class Recordings(dy.Schema):
    """Which recording of a wearable device belongs to which patient; its epochs stay in their own file."""

    recording_id = dy.String(primary_key=True)
    patient_id = dy.String(nullable=False)
    start = dy.Float64(nullable=False)  # of the first epoch
    device = dy.String(nullable=True)


class PredictionTimes(dy.Schema):
    """When a prediction is made: one row per patient and index time of each rule."""

    prediction_id = dy.String(primary_key=True)
    index_rule = dy.String(nullable=False)
    patient_id = dy.String(nullable=False)
    position = dy.Int64(nullable=False)
    number = dy.Int32(nullable=False, min=1)  # the patient's first, second, ... prediction of this rule
    time = dy.Float64(nullable=False)
    visit = dy.String(nullable=True)
    stay_id = dy.String(nullable=True)


class Outcomes(dy.Schema):
    """What happened after each prediction time, for one outcome; ineligible predictions are listed with the reason."""

    prediction_id = dy.String(primary_key=True)
    patient_id = dy.String(nullable=False)
    excluded = dy.String(nullable=True)  # reason; null: eligible and at risk
    time = dy.Float64(
        nullable=True, min=0
    )  # from the prediction time to event or censoring; null for a label
    # 0 censored (or negative label), 1 the event, 2.. competing events; null in an eligible row: not known, as the
    # visit that would have shown it was not attended. Seen at visits: 0 where death came before the horizon.
    cause = dy.Int8(nullable=True, min=0)
    lower = dy.Float64(nullable=True, min=0)  # seen at visits only: last time known to be without the event
    upper = dy.Float64(nullable=True, min=0)  # seen at visits only: first time known to have had it
    attendance = dy.String(
        nullable=True
    )  # seen at visits only: stratum that unknown rows are weighted for in
    # Until a declared treatment that changes the course began, also beyond `time`; null: none began later, or the patient
    # was on it at the prediction.
    treatment = dy.Float64(nullable=True, min=0)


class ColumnDescriptions(dy.Schema):
    """What each feature column is: written beside every feature set and carried to the cards."""

    column = dy.String(primary_key=True)
    feature_set = dy.String(nullable=False)
    kind = dy.Enum(["number", "category"], nullable=False)
    description = dy.String(nullable=False)
    unit = dy.String(nullable=True)
    source = dy.String(nullable=False)  # paper, guideline or file the definition comes from
    # context: never a predictor; what adjustments in the fold stand on, such as the plate a value was measured on
    role = dy.Enum(["predictor", "context"], nullable=False)


class Rows(dy.Schema):
    """Who and where each prediction is, for splits, subgroups and weights: never given to a learner."""

    prediction_id = dy.String(primary_key=True)
    index_rule = dy.String(nullable=False)
    patient_id = dy.String(nullable=False)
    position = dy.Int64(nullable=False)
    # smallest position of the patient's family; null: no relative in the study
    family = dy.Int64(nullable=True, min=0)
    number = dy.Int32(nullable=False)
    time = dy.Float64(nullable=False)
    country = dy.String(nullable=True)
    centre = dy.String(nullable=True)
    network = dy.String(nullable=True)
    sex = dy.Enum(SEXES, nullable=True)
    age_band = dy.String(nullable=True)
    education = dy.String(nullable=True)  # band of years of education


TABLES: dict[str, type[dy.Schema]] = {
    "patients": Patients,
    "visits": Visits,
    "stays": Stays,
    "measurements": Measurements,
    "events": Events,
    "medications": Medications,
    "genotypes": Genotypes,
    "ratings": Ratings,
    "recordings": Recordings,
}
