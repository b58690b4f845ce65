"""How strata of patients are looked for: a chain of tests with its thresholds, declared before any result is seen."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.clustering.contract import ClusterOptions
from models.clustering.reduction import AUTOMATIC, RULES
from models.errors import BadTarget
from models.registry import CLUSTERERS
from pipeline.settings.base import Name, Settings, Text

if TYPE_CHECKING:
    from pipeline.settings.study import Study

Test = Literal["one_group", "number", "stability", "replication", "value"]


class OneGroupTest(Settings):
    """Test 1: one group, drawn as copula and as continuum, goes through the whole procedure."""

    draws: int = Field(default=99, ge=19, le=9999)  # of each null; p = (b + 1) / (draws + 1)
    level: float = Field(default=0.05, gt=0, lt=0.5)  # both p-values must be this or less


class NumberTest(Settings):
    """Test 2: the number of strata, from one up."""

    prediction_strength: float = Field(default=0.8, gt=0, le=1)  # Tibshirani and Walther 2005
    splits: int = Field(default=10, ge=2, le=200)  # of the patients into halves
    resamples: int = Field(default=20, ge=10, le=2000)  # of consensus clustering
    level: float = Field(default=0.05, gt=0, lt=0.5)  # of consensus against the null


class StabilityTest(Settings):
    """Test 3: every stratum is found again in bootstrap samples of the patients within centres."""

    bootstraps: int = Field(default=50, ge=10, le=5000)
    jaccard: float = Field(default=0.75, gt=0, le=1)  # Hennig 2007: mean Jaccard of a stable cluster


class ReplicationTest(Settings):
    """Test 4: found in one country and again in the other, in both directions."""

    between: Literal["country", "centre"] = "country"
    prediction_strength: float = Field(
        default=0.7, gt=0, le=1
    )  # in a country alone; half of it is few patients
    agreement: float = Field(default=0.6, gt=0, le=1)  # adjusted Rand index of carried over and found anew
    centroid_correlation: float = Field(default=0.8, gt=0, le=1)  # of matched strata
    fewest: int = Field(default=100, ge=40)  # patients of a country, or it takes no part


class ValueTest(Settings):
    """Test 5: strata tell something that spline-coded continuous scores of the same variables do not."""

    outcomes: tuple[Name, ...] | None = None  # null: all outcomes of the same index rule
    held_out: tuple[str, ...] = ()  # columns, by name or pattern, that did not make the strata
    covariates: tuple[str, ...] = ()  # columns of age, sex and severity
    knots: int = Field(default=4, ge=3, le=7)  # of restricted cubic splines
    level: float = Field(default=0.05, gt=0, lt=0.5)  # after Holm over outcomes and held-out columns


class Panel(Settings):
    """The smallest panel of columns that assigns patients with a declared accuracy."""

    accuracy: float = Field(default=0.8, gt=0.5, lt=1)  # balanced, under cross-validation
    most: int = Field(default=8, ge=1, le=50)
    folds: int = Field(default=5, ge=2, le=20)


class Course(Settings):
    """Strata of change: each patient's course of repeated scores or markers over visits."""

    variables: tuple[str, ...] = Field(min_length=1)  # of the measurements
    method: Literal["random_effects", "growth_mixture"] = "random_effects"
    degree: int = Field(default=1, ge=1, le=3)  # of the polynomial in years since baseline
    logarithm: tuple[str, ...] = ()  # variables taken as logarithms
    years: float = Field(default=5.0, gt=0, le=100)  # follow-up that is looked at
    # values a patient needs, of every variable (random_effects) or of any (growth_mixture); null: 2 and 1
    fewest_visits: int | None = Field(default=None, ge=1, le=20)
    dropout: bool = True  # growth_mixture: strata may differ in how long they stay
    random_intercept: bool = True  # growth_mixture: patients of a stratum may differ in level
    interval: float = Field(
        default=1.0, gt=0, le=100
    )  # years between planned visits, by which drop-out is counted


class Stratification(Settings):
    """One search for strata; its key names it."""

    title: Text | None = None
    index: Name
    feature_sets: tuple[Name, ...] = ()
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = (
        None  # of those sets, by name or pattern; null: all
    )
    course: Course | None = None  # instead of feature sets: change over visits
    clusterer: Name = "gaussian_mixture"
    parameters: dict[str, Any] = {}  # the clusterer's own
    # of a feature set, or of a course's variable, as a whole
    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = {}
    adjustment: Name | None = None  # one of the study's adjustments, fitted anew in every resample
    most_strata: int = Field(default=6, ge=2, le=12)
    smallest_share: float = Field(default=0.05, gt=0, le=0.5)  # of the patients in a stratum
    one_group: OneGroupTest = OneGroupTest()
    number: NumberTest = NumberTest()
    stability: StabilityTest = StabilityTest()
    replication: ReplicationTest = ReplicationTest()
    value: ValueTest = ValueTest()
    required: tuple[Test, ...] = ("one_group", "number", "stability", "replication")
    panel: Panel = Panel()
    compare_with: tuple[
        str, ...
    ] = ()  # columns, such as a diagnosis, that strata are compared with and never made of

    @model_validator(mode="after")
    def _features_or_course(self) -> Self:
        if bool(self.feature_sets) == (self.course is not None):
            raise ValueError("give either feature_sets (who patients are) or course (how they change)")
        if self.columns is not None and self.course is not None:
            raise ValueError("columns are of feature sets; a course names its variables")
        followed = () if self.course is None else self.course.variables
        other = sorted(set(() if self.course is None else self.course.logarithm) - set(followed))
        if other:
            raise ValueError(
                f"course.logarithm: {other[0]!r} is none of the course's variables: {', '.join(followed)}"
            )
        if not {"one_group", "number"} <= set(self.required):
            raise ValueError(
                "required must hold one_group and number: without them every search finds strata"
            )
        return self


def stratification_problems(study: "Study") -> list[str]:
    """Return what is wrong with a study's stratifications, in sentences."""
    return [
        f"stratifications.{name}.{problem}"
        for name, one in study.stratifications.items()
        for problem in _problems(study, one)
    ]


# Clusterers of points take these parameters; the others refuse unknown ones themselves.
POINTS_PARAMETERS = {"gaussian_mixture": ("reduce",), "k_means": ("n_init", "reduce")}


def _grows(one: Stratification) -> bool:
    return one.course is not None and one.course.method == "growth_mixture"


def _course_problems(one: Stratification) -> list[str]:
    """Return what classes of growth would leave unused: they are of values as measured and have a clusterer of their own."""
    if not _grows(one):
        return []
    given = {
        "clusterer": one.clusterer not in ("gaussian_mixture", "growth_mixture"),
        "parameters": bool(one.parameters),
        "weights": bool(one.weights),
        "adjustment": one.adjustment is not None,
    }
    return [
        f"{key}: a course of method growth_mixture takes none, its classes are of values as measured; take it out, or ask for "
        "random_effects"
        for key, stands in given.items()
        if stands
    ]


def _parameter_problems(one: Stratification) -> list[str]:
    if one.clusterer not in CLUSTERERS or _grows(one):
        return []
    known = POINTS_PARAMETERS.get(one.clusterer)
    if known is not None:
        unknown = sorted(set(one.parameters) - set(known))
        if unknown:
            return [
                f"parameters: {name!r} is no parameter of {one.clusterer}; known: {', '.join(known)}"
                for name in unknown
            ]
        rule = one.parameters.get("reduce", AUTOMATIC)
        if rule not in RULES:
            return [f"parameters: reduce is {rule!r}; the rules are {', '.join(RULES)}"]
    try:
        CLUSTERERS[one.clusterer].build(2, 0, ClusterOptions(parameters=one.parameters))
    except BadTarget as problem:
        return [f"parameters: {str(problem).rstrip('.')}"]
    return []


def _named_twice(one: Stratification) -> list[str]:
    """Return what stands twice in a list: an outcome would be tested twice, a column mean no more."""
    course = one.course
    lists: dict[str, tuple[str, ...]] = {
        "feature_sets": one.feature_sets,
        "columns": one.columns or (),
        "course.variables": () if course is None else course.variables,
        "course.logarithm": () if course is None else course.logarithm,
        "value.outcomes": one.value.outcomes or (),
        "value.held_out": one.value.held_out,
        "value.covariates": one.value.covariates,
        "required": one.required,
        "compare_with": one.compare_with,
    }
    return [
        f"{key}: {name!r} stands twice; name it once"
        for key, given in lists.items()
        for name in dict.fromkeys(given)
        if given.count(name) > 1
    ]


def _problems(study: "Study", one: Stratification) -> list[str]:
    known: dict[str, tuple[tuple[str, ...], Any]] = {
        "index": ((one.index,), study.prediction_times),
        "feature_sets": (one.feature_sets, study.feature_sets),
        "weights": (
            tuple(one.weights),
            one.feature_sets if one.course is None else one.course.variables,
        ),
        "clusterer": ((one.clusterer,), CLUSTERERS),
        "adjustment": (() if one.adjustment is None else (one.adjustment,), study.adjustments),
        "value.outcomes": (one.value.outcomes or (), study.outcomes),
    }
    problems = [
        f"{key}: {name!r} is not known; known: {', '.join(sorted(names)) or 'none'}"
        for key, (given, names) in known.items()
        for name in given
        if name not in names
    ]
    problems += [
        f"value.outcomes: {name} is of the index {study.outcomes[name].index}, the strata of {one.index}: a patient is in a stratum "
        "at the strata's own prediction time. Name outcomes of that index"
        for name in one.value.outcomes or ()
        if name in study.outcomes and study.outcomes[name].index != one.index
    ]
    problems += [*_named_twice(one), *_parameter_problems(one), *_course_problems(one)]
    if one.adjustment in study.adjustments:
        try:
            plan = study.adjustments[one.adjustment].plan()
        except BadTarget:
            return problems  # what is wrong with the adjustment is told under its own key
        problems += [
            f"adjustment: {one.adjustment} leaves {key} open ({', '.join(given)}) for an inner loop with an outcome; strata have none. "
            "Name an adjustment with one method"
            for key, given in (("harmonise", plan.harmonise), ("impute", plan.impute))
            if len(given) > 1
        ]
    return problems
