"""Prediction times, estimands and outcomes."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

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
    def causes(self) -> int:
        """The number of causes: the event and what competes with it."""
        return 1


class EventWithinHorizon(_Outcome):
    """An event within a horizon of the prediction time, death competing, censoring weighted."""

    kind: Literal["event_within_horizon"]
    event: Literal["stay"] | Name  # "stay": an admission; else a kind of the events table
    stay_kinds: tuple[str, ...] | None = None  # which stays count as the event
    horizon_days: float = Field(gt=0)
    washout_days: float = Field(default=0, ge=0)  # no such event in this many days before the prediction time
    merge_within_days: float = Field(
        default=1, ge=0
    )  # a stay beginning this soon after the last is the same episode
    competing: tuple[Name, ...] = ("death",)
    follow_up_ends: tuple[Name, ...] = ("loss_to_follow_up", "transfer", "end_of_follow_up")
    treatments: tuple[
        str, ...
    ] = ()  # ATC codes that change the course: a sensitivity analysis censors at their start

    @property
    def horizons(self) -> tuple[float, ...]:
        """The single horizon."""
        return (self.horizon_days,)

    @property
    def main_horizon(self) -> float:
        """The single horizon."""
        return self.horizon_days

    @property
    def causes(self) -> int:
        """The event and each competing kind."""
        return 1 + len([kind for kind in self.competing if kind != self.event])


class TimeToEvent(_Outcome):
    """The time to an event after the prediction time, with competing causes, at several horizons."""

    kind: Literal["time_to_event"]
    event: Literal["stay"] | Name
    stay_kinds: tuple[str, ...] | None = None
    horizons_days: tuple[float, ...] = Field(min_length=1, max_length=12)
    main_horizon_days: float | None = None  # one of them; null: the longest
    washout_days: float = Field(default=0, ge=0)
    merge_within_days: float = Field(default=1, ge=0)
    competing: tuple[Name, ...] = ("death",)
    follow_up_ends: tuple[Name, ...] = ("loss_to_follow_up", "transfer", "end_of_follow_up")
    treatments: tuple[str, ...] = ()

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

    @property
    def causes(self) -> int:
        """The event and each competing kind."""
        return 1 + len([kind for kind in self.competing if kind != self.event])


class Label(_Outcome):
    """A given column: the value of an outcome variable at the prediction time."""

    kind: Literal["label"]
    variable: str
    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)  # any other value: not eligible


Outcome = Annotated[EventWithinHorizon | TimeToEvent | Label, Field(discriminator="kind")]
