"""What is done to polygenic scores inside the fold, as the study declares it: frequencies, components, ancestry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from models.errors import BadTarget

SCORE, COMPONENT = "genetic_", "genetic_component_"
NO_SCORES = (COMPONENT, "genetic_variants", "genetic_genotypes")  # how other columns of the set begin
NORMALISED = ("_ancestry_mean", "_ancestry_mean_variance")  # how scores that a reference normalised end
VARIANTS, GENOTYPES = "genetic_variants", "genetic_genotypes"
MISSING, RAW = "_missing", "_raw"
EXPECTATIONS = ("mean", "hardy_weinberg")
NORMALISE = ("mean", "mean_variance")
MOST_COMPONENTS = 40


@dataclass(frozen=True)
class FrequencyPlan:
    """Missing genotypes of scores are filled by the allele frequencies of the training rows.

    Attributes:
        scores: columns genetic_<score> that hold sums over called variants; beside each stands the context column
            genetic_<score>_missing.
        imputation: mean (as plink2: 2f; dominant and recessive f) or hardy_weinberg (dominant 1 - (1 - f)^2, recessive f^2).
        column: the context column of everybody's genotypes, which frequencies are counted in.
    """

    scores: tuple[str, ...]
    imputation: str = "mean"
    column: str = GENOTYPES

    @property
    def missing(self) -> tuple[str, ...]:
        """The context columns that tell which genotypes a row lacks, one of each score."""
        return tuple(f"{score}{MISSING}" for score in self.scores)


@dataclass(frozen=True)
class ComponentPlan:
    """Principal components of genotypes, fitted on the training rows.

    Attributes:
        number: of components.
        as_predictors: the learner sees them; otherwise they serve the scores alone.
        column: the context column of everybody's genotypes at pruned variants.
        families: the context column of families, of each of which one person is fitted on; None: all are unrelated.
    """

    number: int = 10
    as_predictors: bool = False
    column: str = VARIANTS
    families: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The components' columns."""
        return component_names(self.number)


@dataclass(frozen=True)
class AncestryPlan:
    """Scores are regressed on components over the training rows and replaced by what is left, in its SD.

    Attributes:
        scores: columns genetic_<score>; None: every score that the learner uses and no reference has normalised.
        how: mean, or mean_variance: the SD too depends on the components.
        keep_raw: the score as it was stays a predictor, as <column>_raw.
        projected: so many columns genetic_component_<k> of the feature set, projected on a reference panel, are the
            components; None: those fitted in the fold are.
    """

    scores: tuple[str, ...] | None = None
    how: Literal["mean", "mean_variance"] = "mean_variance"
    keep_raw: bool = False
    projected: int | None = None

    def chosen(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the scores among a learner's columns, sorted."""
        return tuple(sorted(filter(is_score, columns) if self.scores is None else set(self.scores)))


@dataclass(frozen=True)
class GeneticPlan:
    """The genetic steps, in the order in which they are done; None: not this one."""

    frequencies: FrequencyPlan | None = None
    components: ComponentPlan | None = None
    ancestry: AncestryPlan | None = None

    def __post_init__(self) -> None:
        """Refuse what is not known or cannot be together; raises BadTarget."""
        for problem in (*self._frequency_problems(), *self._component_problems(), *self._ancestry_problems()):
            raise BadTarget(f"genetics: {problem}")
        if self.frequencies is None and self.components is None and self.ancestry is None:
            raise BadTarget(
                "genetics: nothing is asked for; name frequencies, components or ancestry, or drop genetics."
            )

    def _frequency_problems(self) -> list[str]:
        asked = self.frequencies
        if asked is None:
            return []
        found = _unknown("frequencies.imputation", asked.imputation, EXPECTATIONS)
        if not asked.scores or len(set(asked.scores)) < len(asked.scores):
            found.append("frequencies.scores: name the columns of one or more scores, each once.")
        return found

    def _component_problems(self) -> list[str]:
        asked = self.components
        if asked is not None and not 1 <= asked.number <= MOST_COMPONENTS:
            return [
                f"components.number: {asked.number} is not possible; give 1 to {MOST_COMPONENTS} components."
            ]
        if (
            asked is not None
            and not asked.as_predictors
            and (self.ancestry is None or self.ancestry.projected)
        ):
            return [
                "components: nothing uses them; let them be predictors (as_predictors: true) or normalise scores by them "
                "(ancestry, without projected)."
            ]
        return []

    def _ancestry_problems(self) -> list[str]:
        asked = self.ancestry
        if asked is None:
            return []
        found = _unknown("ancestry.how", asked.how, NORMALISE)
        if asked.scores is not None and (not asked.scores or len(set(asked.scores)) < len(asked.scores)):
            found.append(
                "ancestry.scores: name the columns of one or more scores, each once, or null for all."
            )
        if asked.projected is None and self.components is None:
            found.append(
                "ancestry: there are no components to regress on; declare components (fitted in the fold), or projected: the "
                "number of columns genetic_component_<k> that the feature set projects on its reference."
            )
        if asked.projected is not None and not 1 <= asked.projected <= MOST_COMPONENTS:
            found.append(
                f"ancestry.projected: {asked.projected} is not possible; give 1 to {MOST_COMPONENTS} components."
            )
        if asked.projected is not None and self.components is not None:
            found.append(
                "ancestry.projected: components are fitted in the fold already; drop projected, or drop components."
            )
        return found

    @property
    def places(self) -> tuple[str, ...]:
        """The context columns that a fitted adjustment needs of every row, sorted."""
        found: set[str] = set()
        if self.frequencies is not None:
            found |= {self.frequencies.column, *self.frequencies.missing}
        if self.components is not None:
            found.add(self.components.column)
        if self.ancestry is not None and self.ancestry.projected is not None:
            found |= set(component_names(self.ancestry.projected))
        return tuple(sorted(found))

    @property
    def context(self) -> tuple[str, ...]:
        """The context columns that training rows must hold, sorted."""
        families = None if self.components is None else self.components.families
        return tuple(sorted({*self.places, *(() if families is None else (families,))}))

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The learner's own predictors that each part of the plan names."""
        found = {}
        if self.frequencies is not None:
            found["genetics.frequencies.scores"] = self.frequencies.scores
        if self.ancestry is not None and self.ancestry.scores is not None:
            found["genetics.ancestry.scores"] = self.ancestry.scores
        return found

    def further(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the predictors that the steps add to a learner's columns."""
        components = (
            self.components.names if self.components is not None and self.components.as_predictors else ()
        )
        raw = (
            tuple(f"{score}{RAW}" for score in self.ancestry.chosen(columns))
            if self.ancestry is not None and self.ancestry.keep_raw
            else ()
        )
        return (*components, *raw)

    def concerning(self, columns: Sequence[str]) -> "GeneticPlan | None":
        """Return the part that concerns some columns and adds none; None where nothing does."""
        known = set(columns)
        frequencies, ancestry, components = self.frequencies, self.ancestry, None
        if frequencies is not None:
            own = tuple(score for score in frequencies.scores if score in known)
            frequencies = FrequencyPlan(own, frequencies.imputation, frequencies.column) if own else None
        if ancestry is not None:
            own = tuple(score for score in ancestry.chosen(columns) if score in known)
            ancestry = AncestryPlan(own, ancestry.how, False, ancestry.projected) if own else None
        if ancestry is not None and self.components is not None:
            asked = self.components
            components = ComponentPlan(asked.number, False, asked.column, asked.families)
        return (
            None
            if frequencies is None and ancestry is None
            else GeneticPlan(frequencies, components, ancestry)
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild from JSON values; raises KeyError, TypeError or BadTarget where they are damaged."""
        frequencies, components, ancestry = (
            plain[name] for name in ("frequencies", "components", "ancestry")
        )
        return cls(
            None if frequencies is None else FrequencyPlan(**_tupled(frequencies)),
            None if components is None else ComponentPlan(**components),
            None if ancestry is None else AncestryPlan(**_tupled(ancestry)),
        )


def component_names(number: int) -> tuple[str, ...]:
    """Return the columns of components, counted from 1."""
    return tuple(f"{COMPONENT}{place}" for place in range(1, number + 1))


def is_score(column: str) -> bool:
    """Tell whether a column is a score that no reference has normalised."""
    return column.startswith(SCORE) and not column.startswith(NO_SCORES) and not column.endswith(NORMALISED)


def _tupled(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(map(str, value)) if isinstance(value, list) else value for key, value in plain.items()}


def _unknown(place: str, given: str, known: Sequence[str]) -> list[str]:
    return (
        [] if given in known else [f"{place}: {given!r} is not understood; give one of {', '.join(known)}."]
    )
