"""What a learner's adjustment does to its predictors, as the study declares it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from models.adjustment.genetic_plan import GeneticPlan
from models.errors import BadTarget

HARMONISE = ("none", "centring", "combat", "random_intercept")
IMPUTE = ("none", "median", "iterative")
LIMITS = ("substitute", "order_statistics", "censored_normal")
NEW_CENTRE = ("grand_mean", "local", "refuse")
AGE_TERMS = ("linear", "quadratic", "spline")
FEWEST_PATIENTS = 11  # no parameter stands on fewer: counts of 10 and fewer are never told
FEWEST_CONTROLS = 30  # of a regression norm


@dataclass(frozen=True)
class NormRegression:
    """Regression norms: what controls of a person's age, sex and education score, subtracted, in residual SDs.

    Attributes:
        columns: predictors, numbers, that become z-scores.
        controls: the context column that tells who is a control.
        level: its value among controls.
        age: the column of age; None: age is not in the norm.
        age_terms: linear, quadratic, or spline (restricted cubic with knots at the controls' 10th, 50th and 90th percentile).
        factors: further columns, numbers (years of education) or categories (sex).
    """

    columns: tuple[str, ...]
    controls: str
    level: str
    age: str | None = None
    age_terms: str = "linear"
    factors: tuple[str, ...] = ()

    @property
    def regressors(self) -> tuple[str, ...]:
        """The columns that a norm stands on."""
        return (*(() if self.age is None else (self.age,)), *self.factors)


@dataclass(frozen=True)
class Composite:
    """A further predictor: the mean of z-scores of some predictors.

    Attributes:
        columns: the predictors; each is brought to mean 0 and SD 1 of the training rows unless a norm made it a z-score.
        minimum: so many of them must be known, or the composite is missing.
        reversed: those of which a higher value is worse where that of the others is better; their sign is turned.
    """

    columns: tuple[str, ...]
    minimum: int = 1
    reversed: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdjustmentPlan:
    """Everything that is declared about an adjustment; what follows from training rows is in `Adjustment`.

    Attributes:
        harmonise: how centres are brought together. One of none, centring, combat, random_intercept; with several the
            inner loop chooses (the first is the default).
        impute: what stands in for missing numbers. none leaves them to the learner (trees have their own way, the others
            take the median and mark it), median fills them unmarked, iterative by the conditional mean given the row's known
            numbers; with several the inner loop chooses.
        batch: the context column that holds the centre.
        covariates: predictors whose effect is no effect of the centre and is kept: age, sex. Never the outcome.
        columns: predictors that are harmonised; None: every number with more than two values that is no covariate.
        scale: centring also brings each centre's spread within it to the common one.
        new_centre: what is done with a centre that training did not see, or saw with fewer than 11 patients.
            grand_mean: its rows stay as they are. local: they stay as they are until `with_local` is given some of its
            patients, without outcomes. refuse: nothing is predicted.
        limits: what stands for values under the limit of detection, of pairs <x>_log and <x>_below_limit. substitute leaves
            what the feature set put there (the limit / sqrt(2)), order_statistics and censored_normal draw from below it.
        plates: predictors by the context column of the plate that they were measured on; its effect is taken out.
        norms: regression norms of controls; None: no such norms.
        composites: further predictors by name.
        genetics: what is done to polygenic scores, before all else; None: nothing.
    """

    harmonise: tuple[str, ...] = ("none",)
    impute: tuple[str, ...] = ("none",)
    batch: str = "context_centre"
    covariates: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    scale: bool = False
    new_centre: str = "grand_mean"
    limits: str = "substitute"
    plates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    norms: NormRegression | None = None
    composites: Mapping[str, Composite] = field(default_factory=dict)
    genetics: GeneticPlan | None = None

    def __post_init__(self) -> None:
        """Refuse what is not known; raises BadTarget."""
        _require_choice("harmonise", self.harmonise, HARMONISE)
        _require_choice("impute", self.impute, IMPUTE)
        _require_choice("limits", (self.limits,), LIMITS)
        _require_choice("new_centre", (self.new_centre,), NEW_CENTRE)
        if self.norms is not None:
            _require_choice("norms.age_terms", (self.norms.age_terms,), AGE_TERMS)
        for name, composite in self.composites.items():
            if not 1 <= composite.minimum <= len(composite.columns):
                raise BadTarget(
                    f"composites.{name}: a minimum of {composite.minimum} of {len(composite.columns)} columns is not "
                    "possible; give 1 up to the number of columns."
                )

    @property
    def context(self) -> tuple[str, ...]:
        """The context columns that X must hold beside the predictors, sorted."""
        controls = () if self.norms is None else (self.norms.controls,)
        genetic = () if self.genetics is None else self.genetics.context
        return tuple(sorted({*self.places, *controls, *genetic}))

    @property
    def places(self) -> tuple[str, ...]:
        """Those of the context columns that a fitted adjustment still needs: who is a control counts in training alone."""
        harmonised = () if self.harmonise == ("none",) else (self.batch,)
        return tuple(sorted({*harmonised, *self.plates, *self.genetic_places}))

    @property
    def genetic_places(self) -> tuple[str, ...]:
        """Those of `places` that genetic steps need: genotypes, projected components; sorted."""
        return () if self.genetics is None else self.genetics.places

    @property
    def needed(self) -> tuple[str, ...]:
        """The feature columns that X must hold whether or not the learner predicts from them, sorted."""
        regressors = () if self.norms is None else self.norms.regressors
        covariates = () if self.harmonise == ("none",) else self.covariates
        return tuple(sorted({*covariates, *regressors}))

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The learner's own predictors that each part of the plan names."""
        return {
            **({} if self.columns is None else {"columns": self.columns}),
            **({} if self.norms is None else {"norms.columns": self.norms.columns}),
            **{f"plates.{plate}": columns for plate, columns in self.plates.items()},
            **{f"composites.{name}": one.columns for name, one in self.composites.items()},
            **({} if self.genetics is None else self.genetics.named),
        }

    def further(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the predictors that the adjustment adds to a learner's columns, in their order."""
        genetic = () if self.genetics is None else self.genetics.further(columns)
        return (*sorted(self.composites), *genetic)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; `from_json` gives it back."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; raises BadTarget where it is damaged."""
        try:
            norms, genetics = plain["norms"], plain.get("genetics")
            made = {
                **plain,
                "harmonise": _names(plain["harmonise"]),
                "impute": _names(plain["impute"]),
                "covariates": _names(plain["covariates"]),
                "columns": None if plain["columns"] is None else _names(plain["columns"]),
                "plates": {plate: _names(columns) for plate, columns in plain["plates"].items()},
                "norms": None if norms is None else NormRegression(**_tupled(norms)),
                "composites": {name: Composite(**_tupled(one)) for name, one in plain["composites"].items()},
                "genetics": None if genetics is None else GeneticPlan.from_json(genetics),
            }
            return cls(**made)
        except (KeyError, TypeError, AttributeError) as problem:
            raise BadTarget(
                "The plan of the stored adjustment is damaged; train the model again."
            ) from problem


def _names(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise TypeError("a list of names is expected")
    return tuple(found)


def _tupled(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _names(value) if isinstance(value, list) else value for key, value in plain.items()}


def _require_choice(place: str, given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown or not given or len(set(given)) < len(given):
        raise BadTarget(
            f"{place}: {', '.join(map(str, given)) or 'nothing'} is not understood; give one or several of "
            f"{', '.join(known)}, each once."
        )
