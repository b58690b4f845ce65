"""Prediction times, estimands and outcomes."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from features.schema import NO_ROUTE, ROUTES
from features.visit_dates import USUAL_LIMIT
from pipeline.settings.base import Name, Settings, Text


class BaselineVisit(Settings):
    """Predict at each patient's first visit."""

    kind: Literal["baseline_visit"]


class DischargeAlive(Settings):
    """Predict at each discharge of a patient who left hospital alive."""

    kind: Literal["discharge_alive"]
    stay_kinds: tuple[str, ...] | None = None  # kinds of stay that count; null: all
    not_alive: tuple[str, ...] = ()  # values of discharged_to that end follow-up, such as death and hospice
    first_only: bool = False


PredictionTime = Annotated[BaselineVisit | DischargeAlive, Field(discriminator="kind")]


class Estimand(Settings):
    """What is estimated, in words that a reviewer can judge; printed on every card."""

    eligible: Text  # who is eligible and at risk at the prediction time
    time_zero: Text
    available: Text  # what is known by then
    horizon: Text
    cause: Text  # the event and what competes with it
    treatment: Text = "risk under usual care"
    target: Literal["new patients of the same centres", "a new centre", "a new country"]


class DecisionRange(Settings):
    """Thresholds of risk at which a decision would change, declared beforehand."""

    lower: float = Field(gt=0, lt=1)
    upper: float = Field(gt=0, lt=1)


class _Outcome(Settings):
    index: Name  # the prediction times' rule
    title: Text
    estimand: Estimand
    thresholds: DecisionRange | None = None
    signed_off: tuple[str, ...] = ()  # feature columns that look like the outcome and were judged not to be
    proxy_limit: float = Field(
        default=0.95, gt=0.5, le=1
    )  # AUROC or concordance above which one column is refused

    # rank correlation with the follow-up of the censored above which one column is refused
    follow_up_limit: float = Field(default=0.9, gt=0, le=1)

    @property
    def horizons(self) -> tuple[float, ...]:
        """The horizons in days, increasing; empty for a label."""
        return ()

    @property
    def main_horizon(self) -> float | None:
        """The horizon that folds are drawn and models explained at; None for a label."""
        return None

    @property
    def known_after(self) -> float:
        """Days after the prediction from which a label is known; 0 where it is known at once, or has times."""
        return 0.0

    @property
    def causes(self) -> int:
        """The number of causes: the event and what competes with it."""
        return 1

    @property
    def variables(self) -> tuple[str, ...]:
        """The measured variables whose values define it; none of an event with a date of its own."""
        return ()


def _treatment(entry: str) -> str:
    """Check the beginning of an ATC code, with a route after a colon where only one route counts."""
    code, colon, route = entry.partition(":")
    if not re.fullmatch("[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?", code):
        raise ValueError(f"{code!r} is not the beginning of an ATC code such as N05A or N05AH02")
    known = [name for name in ROUTES if name != NO_ROUTE]
    if colon and route not in known:
        raise ValueError(f"the route {route!r} is not known; known: {', '.join(known)}")
    return entry


Treatment = Annotated[str, AfterValidator(_treatment)]  # N05AH02, or N05A:depot


class _InTime(_Outcome):
    """What outcomes of an event with a date of its own have in common."""

    event: Literal["stay"] | Name  # "stay": an admission; else a kind of the events table
    stay_kinds: tuple[str, ...] | None = None  # which stays count as the event
    washout_days: float = Field(default=0, ge=0)  # no such event in this many days before the prediction time
    merge_within_days: float = Field(
        default=1, ge=0
    )  # a stay beginning this soon after the last is the same episode
    competing: tuple[Name, ...] = ("death",)
    follow_up_ends: tuple[Name, ...] = ("loss_to_follow_up", "transfer", "end_of_follow_up")
    treatments: tuple[
        Treatment, ...
    ] = ()  # that change the course: a sensitivity analysis censors where one begins
    visit_dates_limit: float = Field(
        default=USUAL_LIMIT, ge=0, le=1
    )  # share of the event's dates on the patient's own visits above which it counts as asked at visits and is refused
    dates_are_exact: bool = False  # signed off: they are the event's own although they fall on visits

    @field_validator("competing")
    @classmethod
    def _competing_once(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(found)) < len(found):
            raise ValueError("a kind stands twice; each has one cause")
        return found

    @property
    def causes(self) -> int:
        """The event and each competing kind."""
        return 1 + len([kind for kind in self.competing if kind != self.event])


class EventWithinHorizon(_InTime):
    """An event within a horizon of the prediction time, death competing, censoring weighted."""

    kind: Literal["event_within_horizon"]
    horizon_days: float = Field(gt=0)

    @property
    def horizons(self) -> tuple[float, ...]:
        """The single horizon."""
        return (self.horizon_days,)

    @property
    def main_horizon(self) -> float:
        """The single horizon."""
        return self.horizon_days


class TimeToEvent(_InTime):
    """The time to an event after the prediction time, with competing causes, at several horizons."""

    kind: Literal["time_to_event"]
    horizons_days: tuple[float, ...] = Field(min_length=1, max_length=12)
    main_horizon_days: float | None = None  # one of them; null: the longest

    @field_validator("horizons_days")
    @classmethod
    def _increasing(cls, found: tuple[float, ...]) -> tuple[float, ...]:
        if list(found) != sorted(set(found)) or found[0] <= 0:
            raise ValueError("horizons must be positive and increasing")
        return found

    @model_validator(mode="after")
    def _main_is_one(self) -> Self:
        if self.main_horizon_days is not None and self.main_horizon_days not in self.horizons_days:
            raise ValueError("main_horizon_days must be one of horizons_days")
        return self

    @property
    def horizons(self) -> tuple[float, ...]:
        """All horizons."""
        return self.horizons_days

    @property
    def main_horizon(self) -> float:
        """The declared main horizon, or the longest."""
        return self.horizons_days[-1] if self.main_horizon_days is None else self.main_horizon_days


class SeenAtVisits(_Outcome):
    """An event that is asked at visits: known to lie between two of them, unknown after a visit that was missed."""

    kind: Literal["seen_at_visits"]
    variable: str  # asked at visits, role outcome: whether it happened since the visit before
    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)  # any other answer: not known
    horizon_days: float = Field(gt=0)
    tolerance_days: float = Field(
        default=60, ge=0
    )  # a visit from so many days before the horizon tells the status there
    # What coming back may depend on: the known are weighted for the unknown within each of its groups.
    attendance_covariates: tuple[Literal["sex", "age_band", "network", "country", "centre"], ...] = ()

    @model_validator(mode="after")
    def _tolerance_is_shorter(self) -> Self:
        if self.tolerance_days >= self.horizon_days:
            raise ValueError("tolerance_days must be less than horizon_days")
        return self

    @property
    def known_after(self) -> float:
        """When the last visit that tells was due, for whoever came or not: so that nobody is known sooner."""
        return self.horizon_days + self.tolerance_days

    @property
    def variables(self) -> tuple[str, ...]:
        """What is asked at visits."""
        return (self.variable,)


class Label(_Outcome):
    """A given column, or the sum of some, at the prediction time: by its values, or from a cut-off on."""

    kind: Literal["label"]
    variable: str | None = None
    items: tuple[
        str, ...
    ] = ()  # instead of a variable: those whose sum it is; it is known where all of them are
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()  # any other value: not eligible
    at_least: float | None = None  # instead of values: this number and more is positive, less is negative

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.variable is None) == (not self.items):
            raise ValueError("name the variable, or the items whose sum it is")
        valued = bool(self.positive) and bool(self.negative)
        if (self.at_least is None) != valued or (
            self.at_least is not None and (self.positive or self.negative)
        ):
            raise ValueError("give the positive and the negative values, or at_least")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The variable, or the items."""
        return self.items if self.variable is None else (self.variable,)


Outcome = Annotated[EventWithinHorizon | TimeToEvent | SeenAtVisits | Label, Field(discriminator="kind")]
