"""What is done to polygenic scores inside each fold, and whether it goes with how the genetic set was built."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field

from features.errors import BadInput
from features.genetics.settings import GeneticSettings
from models.adjustment.genetic_plan import (
    COMPONENT,
    MOST_COMPONENTS,
    RAW,
    SCORE,
    AncestryPlan,
    ComponentPlan,
    FrequencyPlan,
    GeneticPlan,
)
from models.adjustment.plan import AdjustmentPlan
from pipeline.settings.base import Settings

if TYPE_CHECKING:
    from pipeline.settings.study import Study

FEATURE_SET = "genetic"
LESS_ANCESTRY = ", less what ancestry components lead to expect in the training fold"
NO_COLUMNS = "base_rate"  # the kind that looks at no predictor

Scores = Annotated[tuple[str, ...], Field(min_length=1)]
Number = Annotated[int, Field(ge=1, le=MOST_COMPONENTS)]


class FrequencySettings(Settings):
    """Missing genotypes of scores are filled by the allele frequencies of the training fold."""

    scores: Scores  # columns genetic_<score>
    imputation: Literal["mean", "hardy_weinberg"] = "mean"


class ComponentSettings(Settings):
    """Principal components of genotypes, fitted in the training fold."""

    number: Number = 10
    as_predictors: bool = False  # else they serve the scores alone
    # The context column of families, of each of which one person is fitted on; null: everybody is, relatives too.
    families: str | None = "genetic_family"


class ScoreAncestrySettings(Settings):
    """Scores regressed on components over the training fold."""

    scores: Scores | None = None  # null: every score that the learner uses
    how: Literal["mean", "mean_variance"] = "mean_variance"
    keep_raw: bool = False  # the score as it was stays a predictor, as <column>_raw
    projected: Number | None = (
        None  # columns genetic_component_<k> of the feature set; null: those of the fold
    )


class GeneticAdjustmentSettings(Settings):
    """The genetic steps, done in this order before all others."""

    frequencies: FrequencySettings | None = None
    components: ComponentSettings | None = None
    ancestry: ScoreAncestrySettings | None = None

    def plan(self) -> GeneticPlan:
        """Return the plan that models know; raises BadTarget where it cannot be carried out."""
        return GeneticPlan(
            None if self.frequencies is None else FrequencyPlan(**self.frequencies.model_dump()),
            None if self.components is None else ComponentPlan(**self.components.model_dump()),
            None if self.ancestry is None else AncestryPlan(**self.ancestry.model_dump()),
        )


def genetic_descriptions(columns: pl.DataFrame, plan: AdjustmentPlan) -> list[pl.DataFrame]:
    """Return the descriptions of the predictors that genetic steps add, one frame of ColumnDescriptions each."""
    if plan.genetics is None:
        return []
    numbers = columns.filter((pl.col("kind") == "number") & (pl.col("role") == "predictor"))
    return [
        _component(columns, name) if name.startswith(COMPONENT) else _raw(numbers, name)
        for name in plan.genetics.further(numbers["column"].to_list())
    ]


def without_ancestry(columns: pl.DataFrame, plan: AdjustmentPlan) -> pl.DataFrame:
    """Return the descriptions with scores out of which ancestry is taken told as what they are then."""
    if plan.genetics is None or plan.genetics.ancestry is None:
        return columns
    numbers = columns.filter((pl.col("kind") == "number") & (pl.col("role") == "predictor"))
    chosen = pl.col("column").is_in(plan.genetics.ancestry.chosen(numbers["column"].to_list()))
    return columns.with_columns(
        description=pl.when(chosen).then(pl.col("description") + LESS_ANCESTRY).otherwise("description"),
        unit=pl.when(chosen).then(pl.lit("SD given ancestry")).otherwise("unit"),
    )


def _component(columns: pl.DataFrame, name: str) -> pl.DataFrame:
    kinds = columns.schema
    return columns.head(1).with_columns(
        column=pl.lit(name),
        feature_set=pl.lit(FEATURE_SET),
        kind=pl.lit("number", dtype=kinds["kind"]),
        description=pl.lit(f"principal component {name.removeprefix(COMPONENT)} of the genotypes"),
        unit=pl.lit("score"),
        source=pl.lit("genotypes of this study, fitted inside each fold"),
        role=pl.lit("predictor", dtype=kinds["role"]),
    )


def _raw(numbers: pl.DataFrame, name: str) -> pl.DataFrame:
    return numbers.filter(pl.col("column") == name.removesuffix(RAW)).with_columns(
        column=pl.lit(name), description=pl.col("description") + ", before ancestry was taken out"
    )


def genetic_problems(study: "Study") -> list[str]:
    """Return where adjustments do not go with how the genetic set was built, in sentences."""
    built = _built(study)
    if built is None:
        return []
    problems = []
    for place, name, scores in _users(study, built):
        adjustment = study.adjustments.get(name or "")
        asked = None if adjustment is None else adjustment.genetics
        problems += [
            *_frequency_problems(built, asked, scores, place),
            *_component_problems(built, asked, name),
        ]
    return list(dict.fromkeys(problems))


def _users(study: "Study", built: GeneticSettings) -> Iterator[tuple[str, str | None, set[str]]]:
    """Yield the key of each learner's and stratification's adjustment, its name, and the scores that it is to adjust."""
    every = {f"{SCORE}{name}" for name in built.scores}
    for learner, item in study.learners.items():
        if (item.kind or learner) != NO_COLUMNS:
            used = every if item.feature_sets is None or FEATURE_SET in item.feature_sets else set()
            chosen = used if item.predictors is None else every & set(item.predictors)
            yield f"learners.{learner}.adjustment", item.adjustment, chosen
    for name, one in study.stratifications.items():
        if FEATURE_SET in one.feature_sets:
            patterns = ("*",) if one.columns is None else one.columns
            chosen = {score for score in every if any(fnmatchcase(score, pattern) for pattern in patterns)}
            yield f"stratifications.{name}.adjustment", one.adjustment, chosen


def _built(study: "Study") -> GeneticSettings | None:
    """Return the settings of the genetic set; None without, or where they are told to be wrong elsewhere."""
    given: Mapping[str, Any] | None = study.feature_sets.get(FEATURE_SET)
    if given is None:
        return None
    try:
        return GeneticSettings.from_study(given)
    except BadInput:
        return None


def _frequency_problems(
    built: GeneticSettings, asked: GeneticAdjustmentSettings | None, used: set[str], place: str
) -> list[str]:
    frequencies = None if asked is None else asked.frequencies
    if not built.missing.in_fold:
        return [
            f"{place}: genetics.frequencies fills missing genotypes in the fold, but feature_sets.genetic "
            f"fills them already; take feature_sets.genetic.missing.frequencies: cohort, or drop genetics.frequencies"
            for _ in ([] if frequencies is None else [1])
        ]
    left = sorted(used - set(() if frequencies is None else frequencies.scores))
    if left:
        return [
            f"{place}: feature_sets.genetic leaves missing genotypes to the fold "
            f"(missing.frequencies: cohort), so {', '.join(left)} must stand under genetics.frequencies.scores of its adjustment"
        ]
    if frequencies is not None and frequencies.imputation != built.missing.imputation:
        return [
            f"{place}: genetics.frequencies.imputation is {frequencies.imputation}, but "
            f"feature_sets.genetic.missing.imputation is {built.missing.imputation}; give both the same"
        ]
    return []


def _component_problems(
    built: GeneticSettings, asked: GeneticAdjustmentSettings | None, name: str | None
) -> list[str]:
    if asked is None:
        return []
    problems = []
    if asked.components is not None and (built.ancestry is None or not built.ancestry.in_fold):
        problems.append(
            f"adjustments.{name}.genetics.components: the genetic set gives no genotypes to fit them on; take "
            "feature_sets.genetic.ancestry: {in_fold: true}"
        )
    projected = None if asked.ancestry is None else asked.ancestry.projected
    if projected is not None and (
        built.ancestry is None or built.ancestry.in_fold or built.ancestry.components < projected
    ):
        problems.append(
            f"adjustments.{name}.genetics.ancestry.projected: the genetic set projects fewer than {projected} components on a "
            "reference; take feature_sets.genetic.ancestry: {reference: ..., components: ...}, or drop projected"
        )
    return problems
