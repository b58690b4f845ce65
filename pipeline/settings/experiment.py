"""Validation schemes, learners, cells, strata and what is reported."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from pipeline.settings.base import Name, Settings


class StratifiedKFold(Settings):
    """Repeated k-fold, patients whole, stratified by outcome."""

    kind: Literal["stratified_kfold"]
    folds: int = Field(ge=2, le=20)
    repeats: int = Field(default=1, ge=1, le=50)


class LeaveCentreOut(Settings):
    """Leave one centre, or one group of centres, out."""

    kind: Literal["leave_centre_out"]
    groups: int | None = Field(default=None, ge=2)  # null: each centre alone


class LeaveCountryOut(Settings):
    """Train in all other countries, test in this one."""

    kind: Literal["leave_country_out"]


class Temporal(Settings):
    """Train on what was known before a day, test the patients whose first prediction is made from that day on."""

    kind: Literal["temporal"]
    start: date | None = Field(default=None, alias="from")
    latest: float | None = Field(
        default=None, gt=0, lt=1
    )  # without a day: this share of the patients, the latest

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.start is None) == (self.latest is None):
            raise ValueError("a temporal scheme has either from (a day) or latest (a share of the patients)")
        return self


Scheme = Annotated[StratifiedKFold | LeaveCentreOut | LeaveCountryOut | Temporal, Field(discriminator="kind")]


class LearnerSettings(Settings):
    """One learner of the study; its key names it, `kind` the registered kind where that differs."""

    kind: Name | None = None
    predictors: tuple[str, ...] | None = None  # columns by name; null: all of the study's feature sets
    feature_sets: tuple[Name, ...] | None = None  # only the columns of these sets
    trials: int = Field(default=20, ge=1, le=10_000)
    parameters: dict[str, Any] = {}  # fixed parameters; they are not tuned
    monotone: dict[
        str, Literal["increasing", "decreasing"]
    ] = {}  # columns along which the risk may only rise or fall
    adjustment: Name | None = None  # one of the study's adjustments: done to its predictors inside each fold

    @property
    def fixed(self) -> dict[str, Any]:
        """Return everything that the learner is built with and that is not tuned."""
        return (
            {**self.parameters, "monotone": dict(self.monotone)} if self.monotone else dict(self.parameters)
        )


class CellSettings(Settings):
    """Which learners predict an outcome, under which validation schemes."""

    outcome: Name
    learners: tuple[Name, ...] = Field(min_length=1)
    schemes: tuple[Name, ...] = Field(min_length=1)


class Primary(Settings):
    """The one analysis declared before any result was seen; printed first."""

    outcome: Name
    learner: Name
    scheme: Name
    metric: Literal["auroc", "average_precision", "brier"] = "auroc"


class Tuning(Settings):
    """The inner procedure, the same for every learner."""

    inner_folds: int = Field(default=3, ge=2, le=10)
    clinical_reference: Name = "clinical"  # the learner that the others are compared with


class Examination(Settings):
    """What stage examine tries out on the lead learner's out-of-fold predictions of each outcome."""

    # Multipliers of the hazard of the event after censoring; 1 is the assumption that everything else makes.
    hazard_after_censoring: tuple[PositiveFloat, ...] = (0.5, 1.0, 2.0)
    tipping_up_to: float = Field(default=8.0, gt=1, le=100)  # and down to its inverse
    censor_at_treatment: bool = True  # at the outcome's `treatments`
    first_only: bool = True  # each patient's first prediction alone, and each patient counted once
    complete_cases: bool = True  # without the weights for visits that were not attended
    local_patients: tuple[Annotated[int, Field(ge=0)], ...] = (0, 10, 20, 50, 100, 200, 500)
    local_draws: int = Field(default=50, ge=10, le=1000)  # of local patients, in each centre
    set_levels: tuple[Annotated[float, Field(gt=0.5, lt=1)], ...] = (0.9, 0.8)  # of the label sets
    abstain_within: tuple[PositiveFloat, ...] = (0.02, 0.05, 0.1)  # of the mid-threshold, in risk


class Probe(Settings):
    """What stage probe refits of the lead learner of each outcome; 0 and an empty list switch a part off."""

    instability: int = Field(default=20, ge=0, le=1000)  # refits of the final model on bootstrap samples
    permutations: int = Field(default=20, ge=0, le=10_000)  # of outcomes between patients of a centre
    # shares of the training patients
    learning_curve: tuple[Annotated[float, Field(ge=0.05, le=1)], ...] = (0.25, 0.5, 0.75, 1.0)
    draws: int = Field(default=1, ge=1, le=50)  # of the learning curve's folds
    folds: int = Field(default=3, ge=2, le=10)  # of permutations and of the learning curve
    trials: int = Field(
        default=2, ge=1
    )  # of tuning in each of their training sets, at most the learner's own


Harmonise = Literal["none", "centring", "combat", "random_intercept"]


class Audit(Settings):
    """What stage audit tries out on the lead learner of each outcome; empty lists switch a part off."""

    # by centre, inside the fold; the first is what the others are compared with
    harmonise: tuple[Harmonise, ...] = ("none", "centring", "combat", "random_intercept")
    impute: tuple[Literal["none", "median", "iterative"], ...] = ("none", "median", "iterative")
    permutations: int = Field(default=99, ge=99, le=9999)  # of places between patients
    # unlabelled patients of a centre that training did not see
    local_patients: tuple[Annotated[int, Field(ge=0)], ...] = (0, 5, 10, 20, 50, 100)
    local_draws: int = Field(default=5, ge=2, le=1000)  # of halves of each centre's patients
    # context columns that are places beside centre and country, such as plates; null: all that hold text
    context: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name in ("harmonise", "impute"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"audit.{name} names a method twice; give each once")
        return self


class Reliability(Settings):
    """What stage reliability computes from the ratings that several raters gave of the same sessions."""

    variables: tuple[str, ...] | None = None  # names or patterns of rated variables; null: all
    limit: float = Field(default=0.75, gt=0, lt=1)  # the least coefficient
    # of the intraclass correlation that the limit is for: one way, absolute agreement or consistency, of one rating or of k
    form: Literal["1,1", "A,1", "C,1", "1,k", "A,k", "C,k"] = "A,1"
    weights: Literal["unweighted", "linear", "quadratic"] = "quadratic"  # of kappa


class Disclosure(Settings):
    """What may leave the workspace."""

    level: Literal["restricted", "public"] = "restricted"
    smallest_cell: int = Field(default=11, ge=11)  # smaller cells are suppressed; a study may only raise it


Line = Annotated[str, StringConstraints(pattern=r"^[^\n\r]+$")]


class Slurm(Settings):
    """What each SLURM job that holds workers asks for."""

    queue: Line | None = None  # the partition; null: the cluster's own default
    cores: int = Field(ge=1)  # worker processes of a job
    memory: Annotated[str, StringConstraints(pattern=r"^[1-9]\d* ?[KMGT]i?B$")]  # of a job, such as 16GB
    walltime: Annotated[str, StringConstraints(pattern=r"^(\d+-)?\d+:\d{2}:\d{2}$")]  # such as 04:00:00
    account: Line | None = None
    interface: Line | None = None  # network interface of the nodes, such as ib0
    job_extra: tuple[Line, ...] = ()  # further #SBATCH lines
    before: tuple[Line, ...] = ()  # shell lines before the workers start, such as module load


class Compute(Settings):
    """Where work runs; results are the same under each."""

    engine: Literal["serial", "processes", "dask"] = "processes"
    workers: int = Field(default=2, ge=1)
    slurm: Slurm | None = None  # dask: workers as SLURM jobs
    scheduler: Line | None = None  # dask: the address of a scheduler that runs already

    @model_validator(mode="after")
    def _places_agree(self) -> Self:
        given = [name for name in ("slurm", "scheduler") if getattr(self, name) is not None]
        if given and self.engine != "dask":
            raise ValueError(f"{given[0]} needs engine: dask")
        if len(given) > 1:
            raise ValueError("slurm and scheduler are both given; keep one")
        return self
