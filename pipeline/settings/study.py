"""The whole study file."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.adjustment import AdjustmentSettings
from pipeline.settings.base import Name, Settings, Text
from pipeline.settings.cohort import HarmonisationSettings, Variable
from pipeline.settings.experiment import (
    Audit,
    CellSettings,
    Compute,
    Disclosure,
    Examination,
    LearnerSettings,
    Primary,
    Probe,
    Reliability,
    Scheme,
    Tuning,
)
from pipeline.settings.formats import Cohort
from pipeline.settings.outcome import Outcome, PredictionTime
from pipeline.settings.stratification import Stratification, stratification_problems

Place = Literal["sex", "age_band", "education", "network", "country", "centre"]


class Consent(Settings):
    """Why these patients' data may be used."""

    basis: Text  # "informed consent, column consent of each centre's patients file", "public data", ...
    per_patient: bool = False  # the patients table has a consent column; rows without a yes are excluded


class Study(Settings):
    """experiments/studies/<name>/study.yaml."""

    study: Name
    title: Text
    seed: int = Field(ge=0, lt=2**32)
    disclosure: Disclosure = Disclosure()
    consent: Consent
    simulation: dict[str, Any] | None = None  # dials of the simulated cohort; null for real data
    source: str | None = (
        None  # folder of PSYSTRATA_DATA that data/<study> links to; null: data/<study> is put there
    )
    cohort: Cohort
    dictionary: dict[str, Variable] = {}
    harmonisation: HarmonisationSettings = HarmonisationSettings()
    prediction_times: dict[Name, PredictionTime] = Field(min_length=1)
    feature_sets: dict[Name, dict[str, Any]] = Field(min_length=1)
    outcomes: dict[Name, Outcome] = Field(min_length=1)
    validation: dict[Name, Scheme] = Field(min_length=1)
    adjustments: dict[Name, AdjustmentSettings] = {}
    learners: dict[Name, LearnerSettings] = Field(min_length=1)
    cells: tuple[CellSettings, ...] = Field(min_length=1)
    primary: Primary
    tuning: Tuning = Tuning()
    stratifications: dict[Name, Stratification] = {}
    roles: dict[str, Literal["confounder", "mediator", "design", "predictor"]] = {}  # of feature columns
    subgroups: tuple[Place, ...] = ()
    # What being lost to follow-up may depend on: weights of the evaluation are estimated within each of its groups.
    censoring_covariates: tuple[Place, ...] = ()
    probe: Probe = Probe()
    reliability: Reliability = Reliability()
    examination: Examination = Examination()
    audit: Audit = Audit()
    intended_use: Text = "research only: not for decisions about a patient"
    limits: tuple[Text, ...] = ()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        problems = [
            *_unknown(
                "outcomes.{}.index", {k: (o.index,) for k, o in self.outcomes.items()}, self.prediction_times
            ),
            *_unknown("cells of {}: outcome", {c.outcome: (c.outcome,) for c in self.cells}, self.outcomes),
            *_unknown("cells of {}: learners", {c.outcome: c.learners for c in self.cells}, self.learners),
            *_unknown("cells of {}: schemes", {c.outcome: c.schemes for c in self.cells}, self.validation),
            *_unknown(
                "learners.{}.feature_sets",
                {k: item.feature_sets or () for k, item in self.learners.items()},
                self.feature_sets,
            ),
            *_unknown("{}.outcome", {"primary": (self.primary.outcome,)}, self.outcomes),
            *_unknown("{}.learner", {"primary": (self.primary.learner,)}, self.learners),
            *_unknown("{}.scheme", {"primary": (self.primary.scheme,)}, self.validation),
            *stratification_problems(self),
            *self._cell_problems(),
            *self._temporal_problems(),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def lead_learner(self, outcome: str) -> str:
        """Return the learner that an outcome's closer examinations are of: the primary one, else the first that learns."""
        learners = next(cell.learners for cell in self.cells if cell.outcome == outcome)
        if self.primary.learner in learners:
            return self.primary.learner
        simple = ("base_rate", self.tuning.clinical_reference)
        return next((name for name in learners if name not in simple), learners[0])

    def _temporal_problems(self) -> list[str]:
        """Days since each patient's own baseline, and ranks, do not say who came later."""
        return [
            f"validation.{name}: a temporal scheme needs dates, but cohort.time is {self.cohort.time!r}: nobody can say "
            "who came later; map dates, or drop the scheme"
            for name, scheme in self.validation.items()
            if scheme.kind == "temporal" and self.cohort.time != "date"
        ]

    def _cell_problems(self) -> list[str]:
        outcomes = [cell.outcome for cell in self.cells]
        twice = [
            f"cells name {name} more than once; join them"
            for name in set(outcomes)
            if outcomes.count(name) > 1
        ]
        primary = [cell for cell in self.cells if cell.outcome == self.primary.outcome]
        planned = any(
            self.primary.learner in cell.learners and self.primary.scheme in cell.schemes for cell in primary
        )
        return twice if planned else [*twice, "primary names a learner and scheme that no cell runs"]


def _unknown(place: str, used: dict[str, tuple[str, ...]], known: dict[str, Any]) -> list[str]:
    return [
        f"{place.format(key)}: {name!r} is not known; known: {', '.join(sorted(known))}"
        for key, names in used.items()
        for name in names
        if name not in known
    ]
