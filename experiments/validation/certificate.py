"""The leakage certificate: fitted models are shown, not said, to know nothing of the rows they are tested on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.cell import CellData, FittedFold, Fold
from experiments.validation.draws import has_families
from experiments.validation.tuning import chosen
from models.target import Target

Integers = NDArray[np.int64]
PROVING_TRIALS = 2  # tuning trials repeated on scrambled test rows
ROWS_ALONE = 5  # test rows predicted one by one
ROUNDING = 1e-9  # a row alone and a row among others may take other paths through the linear algebra

DONORS = 3  # whose genotypes stand in for those of scrambled rows
MOST_LEVELS, FEW_ROWS = 10, 100  # a number with more values among so many rows tells no class
SAME_CLASS = 0.95  # share of the rows without the outcome

PLURALS = {"position": "patients", "family": "families", "centre": "centres", "country": "countries"}

DISJOINT = "patients of fit and test are disjoint"
REFIT = "scrambled test rows leave the fitted model unchanged"
TUNING = "scrambled test rows leave the tuning unchanged"
ALONE = "a row's prediction does not depend on the other test rows"
TRANSFORM = "the outcome enters no transform"
FUTURE = "what happened after the cut leaves the fitted model unchanged"


class Fit(Protocol):
    """The whole procedure of one fold, honest or with a planted leak."""

    def __call__(
        self,
        data: CellData,
        fold: Fold,
        *,
        parameters: Mapping[str, Any] | None = None,
        trials: int | None = None,
    ) -> FittedFold:
        """Fit on what the fold does not test; `parameters` given: without tuning."""


@dataclass(frozen=True)
class Finding:
    """One check on one fold."""

    check: str
    passed: bool
    detail: str
    fold: str


def prove(data: CellData, fold: Fold, fitted: FittedFold, fit: Fit, seed: int) -> list[Finding]:
    """Run every check on one fitted fold.

    Args:
        data: all eligible rows.
        fold: the fold.
        fitted: what `fit` gave for it.
        fit: the procedure, run again on altered rows.
        seed: of the alterations.
    """
    scrambled = scramble(data, np.union1d(fold.test, fold.unused), seed_for(seed, "scramble", fold.name))
    # Where no trials are on record the parameters too must come out again: nothing else shows how they were chosen.
    again = fit(scrambled, fold, parameters=fitted.parameters) if fitted.records else fit(scrambled, fold)
    findings = [
        ids_disjoint(data, fold, fitted),
        Finding(
            REFIT,
            again.fingerprint == fitted.fingerprint,
            "values and outcomes of all test rows replaced by noise, model refitted, all its files compared",
            fold.name,
        ),
        _alone(data, fold, fitted),
        _transform(data, fold, fitted, fit, seed_for(seed, "permute", fold.name)),
    ]
    if fold.cut is not None:
        scrambled = scramble_after(scrambled, fold.cut, seed_for(seed, "scramble later", fold.name))
        findings.insert(2, _future(scrambled, fold, fitted, fit))
    if fitted.records:
        findings.insert(2, _tuning(scrambled, fold, fitted, fit))
    return findings


def ids_disjoint(data: CellData, fold: Fold, fitted: FittedFold) -> Finding:
    """Check that no patient or family, and no centre or country that must stay whole, is both fitted and tested, at any level.

    A family may lie in several inner folds only where these are centres: its others are then left out of those fits.
    """
    related = ("family",) if has_families(data.rows) else ()
    shared = []
    for column in ("position", *related, *fold.whole):
        both = _both(data.rows[column], fitted.train, fold.test)
        if both:
            shared.append(f"{both} {PLURALS[column]} in fit and test of the outer fold")
    dealt_whole = () if fitted.inner_whole else related
    inner: tuple[str, ...] = ("position", *dealt_whole, *fitted.inner_whole) if len(fitted.inner) else ()
    for column in inner:
        cut = _cut(data.rows[column][fitted.train], fitted.inner)
        if cut:
            shared.append(f"{cut} {PLURALS[column]} cut by the inner folds")
    held = [f"outer fold: {_listed(('position', *related, *fold.whole))}"]
    if inner:
        held.append(f"inner folds: {_listed(inner)}")
    detail = "; ".join(shared) or f"none shared ({'; '.join(held)})"
    return Finding(DISJOINT, not shared, detail, fold.name)


def scramble(data: CellData, index: Integers, seed: int) -> CellData:
    """Return the data with values and outcomes of some rows replaced by noise; who and where they are stays."""
    generator = np.random.default_rng(seed)
    columns = []
    for name in data.X.columns:
        column = data.X[name]
        if column.dtype.is_numeric():
            noise = pl.Series(generator.normal(0, 1000, len(index)))
            columns.append(column.cast(pl.Float64).scatter(index, noise).cast(column.dtype, strict=False))
        elif column.dtype == pl.Binary:
            columns.append(_scrambled_bytes(column, index, generator))
        else:
            text = pl.Series([f"noise {code}" for code in generator.integers(0, 3, len(index))])
            columns.append(column.cast(pl.String).scatter(index, text))
    cause = data.target.cause.copy()
    cause[index] = generator.integers(0, data.target.causes + 1, len(index))
    time = data.target.time
    if time is not None:
        time = time.copy()
        time[index] = generator.uniform(0, 2 * max(data.target.horizons), len(index))
    target = replace(data.target, cause=cause, time=time)
    return CellData(rows=data.rows, X=pl.DataFrame(columns), target=target)


def _scrambled_bytes(column: pl.Series, index: Integers, generator: np.random.Generator) -> pl.Series:
    """Return bytes, such as genotypes, with those of some rows replaced by those of few: noise would not be read as bytes."""
    values = column.to_list()
    donors = sorted({value for value in values if value is not None}) or [None]
    donors = [donors[place] for place in generator.permutation(len(donors))[:DONORS]]
    for place in index:
        values[place] = donors[generator.integers(len(donors))]
    return pl.Series(column.name, values, dtype=pl.Binary)


def scramble_after(data: CellData, cut: float, seed: int) -> CellData:
    """Return the data with all that was not known before the day `cut` replaced by noise, of every row.

    A time that was not over by then becomes another one beyond the cut, of any cause; a label not seen by then another
    label, known or not.
    """
    generator = np.random.default_rng(seed)
    before, target = data.as_of(cut).target, data.target
    cause = generator.integers(0, target.causes + 1, len(target))
    if target.time is None or before.time is None:
        later = target.seen() & ~before.seen()
        known = np.where(later, generator.random(len(target)) < 0.5, target.seen())
        return replace(data, target=replace(target, cause=np.where(later, cause, target.cause), known=known))
    later = target.time > before.time
    time = before.time + generator.uniform(0.5, 2 * max(target.horizons), len(target))
    changed = replace(
        target,
        cause=np.where(later, cause, target.cause),
        time=np.where(later, time, target.time),
    )
    return replace(data, target=changed)


def permute_outcomes(data: CellData, index: Integers, seed: int) -> CellData:
    """Return the data with the outcomes of some rows exchanged among those known at the same horizons.

    A column that is the outcome under another name goes with it. Which rows are known at each horizon stays, since rows censored before it enter no fit of it; all weights follow their
    outcomes.
    """
    own = data.target.rows(index)
    known = np.column_stack([own.weights(horizon) > 0 for horizon in own.horizons])
    order, generator = np.arange(len(data.target)), np.random.default_rng(seed)
    for pattern in np.unique(known[known.any(axis=1)], axis=0):
        alike = index[(known == pattern).all(axis=1)]
        order[alike] = generator.permutation(alike)
    moved, here = data.target.rows(order), data.target  # whose row it is stays
    target = replace(moved, groups=here.groups, known=here.known, strata=here.strata)
    copies = [name for name in data.X.columns if _tells_outcome(data.X[name][index], own)]
    X = data.X.with_columns(data.X[name][order] for name in copies) if copies else data.X
    return CellData(rows=data.rows, X=X, target=target)


def _tells_outcome(column: pl.Series, target: Target) -> bool:
    """Tell whether one level of a column is the rows without the outcome, or nearly: the outcome under another name.

    Such a column (who is a control) is no predictor, as refuse_proxies sees to, but a transform may stand on it.
    """
    if column.dtype == pl.Binary:  # genotypes: no level of them is a class
        return False
    if column.dtype.is_numeric() and column.head(FEW_ROWS).n_unique() > MOST_LEVELS:
        return False
    known = target.weights(target.main) > 0
    text, events = column.cast(pl.String).filter(pl.Series(known)), target.labels(target.main)[known] == 1
    level = text.filter(pl.Series(~events)).drop_nulls().mode().sort().first() if not events.all() else None
    chosen = (text == level).fill_null(False).to_numpy() if level is not None else events
    return bool(not chosen[events].any() and chosen[~events].mean() >= SAME_CLASS)


def preprocessing_state(parts: Mapping[str, bytes]) -> str:
    """Return what the fitted files say of preprocessing: preprocessing.json, and that key of other JSON files."""
    state: dict[str, Any] = {}
    for name, content in sorted(parts.items()):
        if name == "preprocessing.json":
            state[name] = json.loads(content)
        elif name.endswith(".json") and b'"preprocessing"' in content:
            found = json.loads(content)
            if isinstance(found, dict) and "preprocessing" in found:
                state[name] = found["preprocessing"]
    return json.dumps(state, sort_keys=True)


def fitted_on(rows: pl.DataFrame, train: Integers) -> dict[str, Any]:
    """Return how many rows a model was fitted on, and a digest of which, for a reader who holds the rows."""
    names = sorted(rows["prediction_id"][train].to_list())
    return {"rows": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}


def summarise(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return one entry per check: passed where every fold passed, and which folds were checked."""
    entries = []
    for check in dict.fromkeys(finding.check for finding in findings):
        own = [finding for finding in findings if finding.check == check]
        failed = [finding for finding in own if not finding.passed]
        entries.append(
            {
                "check": check,
                "passed": not failed,
                "detail": (failed or own)[0].detail,
                "folds": [finding.fold for finding in own],
            }
        )
    return entries


def _tuning(scrambled: CellData, fold: Fold, fitted: FittedFold, fit: Fit) -> Finding:
    again = fit(scrambled, fold, trials=PROVING_TRIALS)
    same = list(again.records) == list(fitted.records[: len(again.records)]) and np.array_equal(
        again.inner, fitted.inner
    )
    best = dict(fitted.parameters) == chosen(fitted.records).parameters
    detail = (
        f"inner folds and the first {len(again.records)} trials repeated on scrambled test rows, scores compared; "
        "the parameters are those of the best inner score"
    )
    return Finding(TUNING, same and best, detail, fold.name)


def _future(later: CellData, fold: Fold, fitted: FittedFold, fit: Fit) -> Finding:
    again = fit(later, fold, parameters=fitted.parameters)
    detail = "outcomes of all rows not known before the cut replaced by noise, model refitted, all its files compared"
    return Finding(FUTURE, again.fingerprint == fitted.fingerprint, detail, fold.name)


def _alone(data: CellData, fold: Fold, fitted: FittedFold) -> Finding:
    together = fitted.predict(data.X[fold.test])
    picked = np.unique(np.linspace(0, len(fold.test) - 1, ROWS_ALONE).astype(np.int64))
    single = [fitted.predict(data.X[fold.test[[place]]])[0] for place in picked]
    same = all(
        np.allclose(one, together[place], rtol=0, atol=ROUNDING)
        for one, place in zip(single, picked, strict=True)
    )
    return Finding(ALONE, same, f"{len(picked)} test rows predicted alone and among all", fold.name)


def _transform(data: CellData, fold: Fold, fitted: FittedFold, fit: Fit, seed: int) -> Finding:
    before = preprocessing_state(fitted.parts)
    if before == "{}":
        return Finding(TRANSFORM, True, "the learner transforms no predictor", fold.name)
    # Outcomes are exchanged as they were known before the cut, and not cut again: who counts stays the same.
    known = data if fold.cut is None else data.as_of(fold.cut)
    permuted = permute_outcomes(known, fitted.train, seed)
    after = preprocessing_state(fit(permuted, replace(fold, cut=None), parameters=fitted.parameters).parts)
    detail = "outcomes of the training rows exchanged among them, fitted preprocessing compared"
    return Finding(TRANSFORM, before == after, detail, fold.name)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(PLURALS[name] for name in columns)


def _both(column: pl.Series, fitted: Integers, tested: Integers) -> int:
    """Return how many values stand on both sides; who has no relatives is of no family."""
    if column.name == "family":
        return len(np.intersect1d(column[fitted].drop_nulls(), column[tested].drop_nulls()))
    values = _codes(column)
    return len(np.intersect1d(values[fitted], values[tested]))


def _cut(column: pl.Series, inner: Integers) -> int:
    """Return how many values of a column lie in several inner folds; who has no relatives is of no family."""
    known = (
        column.is_not_null().to_numpy() if column.name == "family" else np.ones(len(column), dtype=np.bool_)
    )
    pairs = np.unique(np.column_stack([_codes(column.filter(known)), inner[known]]), axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())


def _codes(column: pl.Series) -> Integers:
    filled = column if column.dtype.is_numeric() else column.fill_null("")
    return filled.rank("dense").to_numpy().astype(np.int64)
