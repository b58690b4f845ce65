"""Adjustments of predictors inside the fold, and which learner has which."""

from typing import TYPE_CHECKING, Annotated, Literal

import polars as pl
from pydantic import Field

from models.adjustment.learner import adjusted
from models.adjustment.plan import HARMONISE, IMPUTE, AdjustmentPlan, Composite, NormRegression
from models.contract import LearnerKind
from models.errors import BadTarget
from models.registry import LEARNERS
from pipeline.settings.base import Name, Settings
from pipeline.settings.genetic_adjustment import (
    NO_COLUMNS,
    GeneticAdjustmentSettings,
    genetic_descriptions,
    genetic_problems,
    without_ancestry,
)

if TYPE_CHECKING:
    from pipeline.settings.study import Study

Harmonise = Literal["none", "centring", "combat", "random_intercept"]
Impute = Literal["none", "median", "iterative"]
Columns = Annotated[tuple[str, ...], Field(min_length=1)]

CHOOSE = "choose"  # the inner loop does, among all methods


class NormSettings(Settings):
    """Regression norms, fitted on controls among the training rows."""

    columns: Columns
    controls: str  # the context column that tells who is a control
    level: str  # its value among controls
    age: str | None = None
    age_terms: Literal["linear", "quadratic", "spline"] = "linear"
    factors: tuple[str, ...] = ()  # sex, years of education


class CompositeSettings(Settings):
    """A further predictor: the mean of z-scores."""

    columns: Columns
    minimum: int = Field(default=1, ge=1)  # so many must be known
    reversed: tuple[str, ...] = ()  # a higher value is worse


class AdjustmentSettings(Settings):
    """What is done to predictors inside each fold, before a learner sees them."""

    harmonise: Harmonise | Literal["choose"] | Annotated[tuple[Harmonise, ...], Field(min_length=1)] = "none"
    impute: Impute | Literal["choose"] | Annotated[tuple[Impute, ...], Field(min_length=1)] = "none"
    batch: str = "context_centre"  # the context column of the centre
    covariates: tuple[str, ...] = ()  # predictors whose effect is kept
    columns: Columns | None = None  # that are harmonised; null: every number with more than two values
    scale: bool = False  # centring brings spreads together too
    new_centre: Literal["grand_mean", "local", "refuse"] = "grand_mean"
    limits: Literal["substitute", "order_statistics", "censored_normal"] = "substitute"
    plates: dict[str, Columns] = {}  # columns by the context column of their plate
    norms: NormSettings | None = None
    composites: dict[Name, CompositeSettings] = {}
    genetics: GeneticAdjustmentSettings | None = None

    def plan(self) -> AdjustmentPlan:
        """Return the plan that models know; raises BadTarget where it cannot be carried out."""
        norms = None if self.norms is None else NormRegression(**self.norms.model_dump())
        return AdjustmentPlan(
            harmonise=_options(self.harmonise, HARMONISE),
            impute=_options(self.impute, IMPUTE),
            batch=self.batch,
            covariates=self.covariates,
            columns=self.columns,
            scale=self.scale,
            new_centre=self.new_centre,
            limits=self.limits,
            plates=dict(self.plates),
            norms=norms,
            composites={name: Composite(**one.model_dump()) for name, one in self.composites.items()},
            genetics=None if self.genetics is None else self.genetics.plan(),
        )


def plan_of(study: "Study", learner: str) -> AdjustmentPlan | None:
    """Return the plan of a learner's adjustment, None without one."""
    name = study.learners[learner].adjustment
    return None if name is None else study.adjustments[name].plan()


def kind_of(study: "Study", learner: str) -> LearnerKind:
    """Return the kind of a learner, with its adjustment where it has one."""
    plan = plan_of(study, learner)
    kind = LEARNERS[study.learners[learner].kind or learner]
    return kind if plan is None else adjusted(kind, plan)


def with_composites(columns: pl.DataFrame, plan: AdjustmentPlan | None) -> pl.DataFrame:
    """Return column descriptions (ColumnDescriptions) with those of a plan's composites, components and raw scores."""
    if plan is None:
        return columns
    made = [
        columns.filter(pl.col("column") == one.columns[0]).with_columns(
            column=pl.lit(name),
            description=pl.lit(
                f"mean of the z-scores of {', '.join(one.columns)}, of which {one.minimum} or more are known"
                + (f"; turned: {', '.join(one.reversed)}" if one.reversed else "")
            ),
            unit=pl.lit("SD"),
            source=pl.lit("composite of this study, standardised inside each fold"),
        )
        for name, one in sorted(plan.composites.items())
    ]
    made += genetic_descriptions(columns, plan)
    columns = without_ancestry(columns, plan)
    return pl.concat([columns, *made]).sort("column") if made else columns


def adjustment_problems(study: "Study") -> list[str]:
    """Return what is wrong with a study's adjustments, in sentences."""
    problems = []
    for name, one in study.adjustments.items():
        try:
            one.plan()
        except BadTarget as problem:
            problems.append(f"adjustments.{name}.{problem}")
        problems += [f"adjustments.{name}.{text}" for text in _own_problems(one)]
    known = ", ".join(sorted(study.adjustments)) or "none"
    for learner, item in study.learners.items():
        if item.adjustment is None:
            continue
        if item.adjustment not in study.adjustments:
            problems.append(
                f"learners.{learner}.adjustment: {item.adjustment!r} is not known; known: {known}"
            )
        elif (item.kind or learner) == NO_COLUMNS:
            problems.append(
                f"learners.{learner}.adjustment: the kind {NO_COLUMNS} looks at no predictor, so nothing is adjusted; drop it"
            )
        problems += _refused_centres(study, learner)
    return [*problems, *genetic_problems(study)]


def _refused_centres(study: "Study", learner: str) -> list[str]:
    """Under `refuse` a scheme that leaves centres out could predict nobody."""
    one = study.adjustments.get(study.learners[learner].adjustment or "")
    if one is None or one.new_centre != "refuse" or one.harmonise == "none":
        return []
    out = sorted(
        {
            scheme
            for cell in study.cells
            if learner in cell.learners
            for scheme in cell.schemes
            if scheme in study.validation and study.validation[scheme].kind.startswith("leave_")
        }
    )
    return [
        f"learners.{learner}.adjustment: {study.learners[learner].adjustment} refuses new centres, but its cells leave centres "
        f"out ({', '.join(out)}), so nobody could be predicted there; take new_centre: grand_mean or local"
        for _ in out[:1]
    ]


def _own_problems(one: AdjustmentSettings) -> list[str]:
    problems = []
    if one.scale and "centring" not in _options(one.harmonise, HARMONISE):
        problems.append("scale: only centring asks whether to scale; combat always does. Drop it")
    for name, composite in one.composites.items():
        odd = sorted(set(composite.reversed) - set(composite.columns))
        if odd:
            problems.append(f"composites.{name}.reversed: {', '.join(odd)} is not among its columns")
    twice = sorted(
        {column for columns in one.plates.values() for column in columns}
        if len({column for columns in one.plates.values() for column in columns})
        < sum(map(len, one.plates.values()))
        else ()
    )
    if twice:
        problems.append(f"plates: a column was measured on one plate; given twice among {', '.join(twice)}")
    return problems


def _options(given: str | tuple[str, ...], every: tuple[str, ...]) -> tuple[str, ...]:
    if given == CHOOSE:
        return every
    return (given,) if isinstance(given, str) else given
