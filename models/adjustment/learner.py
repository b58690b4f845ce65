"""Any learner with an adjustment before it, fitted on the same training rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.adjustment import Adjustment
from models.adjustment.genetics import GeneticStart
from models.adjustment.norms import refuse_outcome
from models.adjustment.plan import AdjustmentPlan
from models.contract import Learner, LearnerKind, PreparedLearner, Trial
from models.errors import BadTarget
from models.registry import load_registered
from models.target import Target

Floats = NDArray[np.float64]

ADJUSTMENT_FILE, VERSION = "adjustment.json", 1
GENETIC = "genetic"  # the feature set of genotypes and scores
HARMONISE, IMPUTE = "harmonise", "impute"  # tuned parameters where the plan has several


@dataclass(frozen=True)
class PreparedRows:
    """Training rows, and what was made of them for each pair of harmonisation and imputation."""

    X: pl.DataFrame
    target: Target
    kept: dict[tuple[str, str], tuple[Adjustment, pl.DataFrame, Any]] = field(default_factory=dict)
    begun: dict[str, GeneticStart] = field(default_factory=dict)


class AdjustedLearner:
    """A learner that sees adjusted predictors; everything of the contract is that of the learner inside.

    X holds the predictors and what the plan names beside them: context columns, covariates. The adjustment is fitted on all
    training rows, those whose outcome is not known too: what is common at a centre does not depend on it.
    """

    def __init__(
        self,
        inner: Callable[..., Learner],
        plan: AdjustmentPlan,
        parameters: Mapping[str, Any],
        predictors: Sequence[str] | None = None,
        *,
        seed: int = 0,
        modalities: Mapping[str, str] | None = None,
    ) -> None:
        """`inner` builds the learner inside; `modalities`, where it needs them, is the feature set of each column."""
        own = {name: parameters[name] for name in (HARMONISE, IMPUTE) if name in parameters}
        self._choice = (str(own.get(HARMONISE, plan.harmonise[0])), str(own.get(IMPUTE, plan.impute[0])))
        self._plan, self._predictors, self._seed = plan, predictors, int(seed)
        self._adjustment: Adjustment | None = None
        more = {} if modalities is None else {"modalities": _with_further(modalities, plan)}
        seen = None if predictors is None else (*sorted(set(predictors)), *plan.further(tuple(predictors)))
        rest = {name: value for name, value in parameters.items() if name not in own}
        self._inner = inner(rest, predictors=seen, seed=seed, **more)

    @property
    def adjustment(self) -> Adjustment:
        """The fitted adjustment."""
        if self._adjustment is None:
            raise BadTarget("The adjusted learner has not been fitted yet; call fit first.")
        return self._adjustment

    @property
    def inner(self) -> Learner:
        """The learner that sees adjusted predictors."""
        return self._inner

    def fit(self, X: pl.DataFrame, target: Target) -> Self:
        """Fit the adjustment and the learner on X, shape (rows, columns); raises BadTarget where that is impossible."""
        return self.fit_prepared(self.prepare(X, target))

    def prepare(self, X: pl.DataFrame, target: Target) -> PreparedRows:
        """Return what fits of these rows share; what each pair of harmonisation and imputation gives is made once."""
        if X.height != len(target):
            raise BadTarget(
                f"Features have {X.height} rows but the target {len(target)}; assemble them again."
            )
        if self._plan.norms is not None:
            _require_context(X, self._plan)
            refuse_outcome(X, self._plan.norms, target)
        return PreparedRows(X, target)

    def fit_prepared(self, prepared: PreparedRows) -> Self:
        """Fit; gives the bytes that `fit` gives."""
        if self._choice not in prepared.kept:
            prepared.kept[self._choice] = self._adjusted(prepared)
        self._adjustment, seen, shared = prepared.kept[self._choice]
        if isinstance(self._inner, PreparedLearner):
            self._inner = self._inner.fit_prepared(shared)
        else:
            self._inner = self._inner.fit(seen, prepared.target)
        return self

    def _adjusted(self, prepared: PreparedRows) -> tuple[Adjustment, pl.DataFrame, Any]:
        X, target = prepared.X, prepared.target
        _require_context(X, self._plan)
        columns = self._predictors
        if columns is None:
            columns = [name for name in X.columns if name not in self._plan.context]
        harmonise, impute = self._choice
        adjustment, seen = Adjustment.fit_transform(
            X,
            self._plan,
            columns=columns,
            harmonise=harmonise,
            impute=impute,
            patients=target.groups,
            seed=self._seed,
            begun=prepared.begun,
        )
        shared = self._inner.prepare(seen, target) if isinstance(self._inner, PreparedLearner) else None
        return adjustment, seen, shared

    def with_local(self, centre: str, X: pl.DataFrame, patients: NDArray[np.int64] | None = None) -> Self:
        """Return the learner with a new centre's parameters in its adjustment; see Adjustment.with_local."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._adjustment = self.adjustment.with_local(centre, X, patients)
        return made

    def predict_risk(self, X: pl.DataFrame, horizons: Sequence[float]) -> Floats:
        """Return the risk of each cause by each horizon, shape (rows, causes, horizons)."""
        return self._inner.predict_risk(self.adjustment.transform(X), horizons)

    def score(self, X: pl.DataFrame) -> Floats:
        """Return the score of the learner inside, shape (rows,)."""
        return self._inner.score(self.adjustment.transform(X))

    def explain(self, X: pl.DataFrame) -> tuple[Floats, Floats]:
        """Return contributions of the adjusted predictors, shape (rows, columns), and base, shape (rows,), of the score."""
        return self._inner.explain(self.adjustment.transform(X))

    @property
    def columns(self) -> tuple[str, ...]:
        """The adjusted predictors that the learner inside uses, composites under their own name."""
        return self._inner.columns

    @property
    def needed(self) -> tuple[str, ...]:
        """The feature columns that X must hold, sorted; beside them X holds the plan's `places`."""
        return tuple(sorted({*self.adjustment.columns, *self._plan.needed}))

    @property
    def spare(self) -> frozenset[str]:
        """Those of the needed columns that neither the learner inside nor a composite uses: they may be missing."""
        composed = {name for one in self._plan.composites.values() for name in one.columns}
        return frozenset(self.needed) - {*self._inner.columns, *composed, *self._plan.needed}

    def to_parts(self) -> dict[str, bytes]:
        """Return the files of the learner inside, and adjustment.json."""
        state = {"version": VERSION, "preprocessing": self.adjustment.to_state()}
        content = json.dumps(state, sort_keys=True, allow_nan=False).encode()
        return {**self._inner.to_parts(), ADJUSTMENT_FILE: content}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted learner; raises BadTarget on anything unknown or damaged."""
        try:
            state = json.loads(parts[ADJUSTMENT_FILE].decode("utf-8"))
            # NaN, infinity and halves of characters are no JSON, though json.loads takes them.
            json.dumps(state, ensure_ascii=False, allow_nan=False).encode("utf-8")
            version, preprocessing = state["version"], state["preprocessing"]
        except (KeyError, TypeError, ValueError, RecursionError) as problem:
            raise BadTarget(
                f"{ADJUSTMENT_FILE} of the stored model is damaged; nothing of it was loaded."
            ) from problem
        if version != VERSION:
            raise BadTarget(
                f"{ADJUSTMENT_FILE} should be of version {VERSION}, not {version!r}; train the model again."
            )
        adjustment = Adjustment.from_state(preprocessing)
        inner = load_registered({name: part for name, part in parts.items() if name != ADJUSTMENT_FILE})
        if not set(inner.columns) <= set(adjustment.predictors):
            raise BadTarget("The stored adjustment is not that of the stored learner; train the model again.")
        learner = object.__new__(cls)
        learner._plan, learner._predictors, learner._seed = adjustment.plan, adjustment.columns, 0
        learner._choice = (adjustment.harmonise, adjustment.impute)
        learner._adjustment, learner._inner = adjustment, inner
        return learner


def adjusted(kind: LearnerKind, plan: AdjustmentPlan) -> LearnerKind:
    """Return the kind with the adjustment before it.

    Its parameters are the kind's own and, where the plan has several options, `harmonise` and `impute`; the first tuning
    trials are then the defaults with each option. X must hold `context` beside the predictors.
    """
    options = _options(plan)
    starts = [{name: option} for name, each in options.items() for option in each[1:]]
    return replace(
        kind,
        build=partial(AdjustedLearner, kind.build, plan),
        space=partial(_space, kind.space, options) if kind.space is not None or options else None,
        load=AdjustedLearner.from_parts,
        description=f"{kind.description} Predictors are adjusted inside each fold.",
        defaults={**kind.defaults, **{name: each[0] for name, each in options.items()}},
        context=tuple(sorted({*plan.context, *plan.needed})),
        whole_centres=len(plan.harmonise) > 1,
        starts=({}, *starts) if starts else (),
        identity=json.dumps(plan.to_json(), sort_keys=True),
    )


def _options(plan: AdjustmentPlan) -> dict[str, tuple[str, ...]]:
    every = {HARMONISE: plan.harmonise, IMPUTE: plan.impute}
    return {name: options for name, options in every.items() if len(options) > 1}


def _space(
    inner: Callable[[Trial], dict[str, Any]] | None, options: Mapping[str, tuple[str, ...]], trial: Trial
) -> dict[str, Any]:
    chosen = {name: trial.suggest_categorical(name, list(each)) for name, each in options.items()}
    return {**({} if inner is None else inner(trial)), **chosen}


def _with_further(modalities: Mapping[str, str], plan: AdjustmentPlan) -> dict[str, str]:
    """Return the feature set of each column; a composite is of that of its first column, a component of the scores'."""
    own = {
        name: modalities[one.columns[0]]
        for name, one in plan.composites.items()
        if one.columns[0] in modalities
    }
    genetic = () if plan.genetics is None else plan.genetics.further(tuple(modalities))
    return {**modalities, **own, **dict.fromkeys(genetic, GENETIC)}


def _require_context(X: pl.DataFrame, plan: AdjustmentPlan) -> None:
    absent = sorted({*plan.context, *plan.needed} - set(X.columns))
    if absent:
        raise BadTarget(
            f"The adjustment needs the columns {', '.join(absent)} beside the predictors, and the rows lack them; add the "
            "feature set or source column that gives them, or drop them from the adjustment."
        )
