"""Three planted leaks, four where patients are related: the checks of the certificate are only worth what they catch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.cell import CellData, FittedFold, Fold
from experiments.validation.certificate import Fit, prove
from experiments.validation.draws import deal_patients, has_families, patient_table

PATIENTS = 300  # about so many are enough to plant in
EVENTS = 20  # and at least about so many patients with the event
PARTS = 4  # one is tested
RANDOM, DERIVED, STATE = "planted_random", "planted_derived", "planted.json"


def catch_planted(
    data: CellData, fit: Fit, parameters: Mapping[str, Any], seed: int, *, whole: bool = False
) -> list[dict[str, Any]]:
    """Plant each leak into the procedure, on a part of the patients, and run the certificate's checks on it.

    Returns one entry per leak: whether it was caught, and by which checks. The honest procedure runs first: it must pass,
    or a check that always fails would seem to catch everything. `whole` plants in everybody: adjustments stand on centres and
    controls, of which a part of the patients has too few.
    """
    small, fold = _small_fold(data, seed, whole=whole)
    leaks: dict[str, Fit] = {
        "none: the honest procedure": fit,
        "scaler fitted before the split": partial(_scaled_before_split, fit),
        "feature derived from the outcome": partial(_derived_from_outcome, fit),
        "a patient in both folds": partial(_patient_in_both, fit),
    }
    if _with_relative(small.rows, fold.test) is not None:
        leaks["a relative in both folds"] = partial(_relative_in_both, fit)
    entries = []
    for leak, leaky in leaks.items():
        untuned = partial(leaky, parameters=parameters)
        fitted = untuned(small, fold)
        by = [finding.check for finding in prove(small, fold, fitted, untuned, seed) if not finding.passed]
        entries.append({"leak": leak, "caught": bool(by), "by": by})
    return entries


def _small_fold(data: CellData, seed: int, *, whole: bool = False) -> tuple[CellData, Fold]:
    patients = patient_table(data.rows, data.status())
    affected = int((patients["seen"] == 2).sum())
    share = 1 if whole else max(1, min(patients.height // PATIENTS, affected // EVENTS))
    position = data.rows["position"].to_numpy()
    drawn = deal_patients(patients, share, seed_for(seed, "planted patients")) == 0
    small = data.take(np.flatnonzero(np.isin(position, patients["position"].to_numpy()[drawn])))
    fewer = patient_table(small.rows, small.status())
    tested = deal_patients(fewer, PARTS, seed_for(seed, "planted fold")) == 0
    test = np.flatnonzero(np.isin(small.rows["position"].to_numpy(), fewer["position"].to_numpy()[tested]))
    noise = np.random.default_rng(seed_for(seed, "planted column")).normal(size=small.rows.height)
    wider = replace(small, X=small.X.with_columns(pl.Series(RANDOM, noise)))
    return wider, Fold(scheme="planted", repeat=0, fold=0, test=test.astype(np.int64))


def _scaled_before_split(
    fit: Fit,
    data: CellData,
    fold: Fold,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
) -> FittedFold:
    """Scale by means and standard deviations of all rows, tested ones included, then go on honestly."""
    numbers = [name for name in data.X.columns if data.X[name].dtype.is_numeric()]
    found = {name: (data.X[name].mean(), data.X[name].std()) for name in numbers}
    state = {name: [mean, spread] for name, (mean, spread) in found.items() if mean is not None and spread}

    def scaled(X: pl.DataFrame) -> pl.DataFrame:
        return X.with_columns((pl.col(name) - mean) / spread for name, (mean, spread) in state.items())

    fitted = fit(replace(data, X=scaled(data.X)), fold, parameters=parameters, trials=trials)
    return _with_state(fitted, state, lambda X: fitted.predict(scaled(X)))


def _derived_from_outcome(
    fit: Fit,
    data: CellData,
    fold: Fold,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
) -> FittedFold:
    """Add the event rate of the row's tenth of a random column, taken over all rows, tested ones included."""
    edges = np.quantile(data.X[RANDOM].to_numpy(), np.linspace(0, 1, 11)[1:-1])

    def tenth(X: pl.DataFrame) -> NDArray[np.int64]:
        return np.searchsorted(edges, X[RANDOM].to_numpy()).astype(np.int64)

    place, labels = tenth(data.X), data.target.labels()
    rates = np.bincount(place, weights=labels, minlength=10) / np.maximum(np.bincount(place, minlength=10), 1)

    def widened(X: pl.DataFrame) -> pl.DataFrame:
        return X.with_columns(pl.Series(DERIVED, rates[tenth(X)]))

    fitted = fit(replace(data, X=widened(data.X)), fold, parameters=parameters, trials=trials)
    return _with_state(fitted, {DERIVED: rates.tolist()}, lambda X: fitted.predict(widened(X)))


def _patient_in_both(
    fit: Fit,
    data: CellData,
    fold: Fold,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
) -> FittedFold:
    """Fit on the first tested patient as well."""
    position = data.rows["position"].to_numpy()
    kept = fold.test[position[fold.test] != position[fold.test[0]]]
    return fit(data, replace(fold, test=kept), parameters=parameters, trials=trials)


def _relative_in_both(
    fit: Fit,
    data: CellData,
    fold: Fold,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
) -> FittedFold:
    """Fit on one of two tested relatives as well."""
    position = data.rows["position"].to_numpy()
    kept = fold.test[position[fold.test] != _with_relative(data.rows, fold.test)]
    return fit(data, replace(fold, test=kept), parameters=parameters, trials=trials)


def _with_relative(rows: pl.DataFrame, test: NDArray[np.int64]) -> int | None:
    """Return the position of the first tested patient with a tested relative; None: there is none."""
    if not has_families(rows):
        return None
    tested = rows[test].select("position", "family").drop_nulls().unique()
    related = tested.filter(pl.len().over("family") > 1)["position"]
    return None if related.is_empty() else int(related.sort()[0])


def _with_state(fitted: FittedFold, state: Mapping[str, Any], predict: Any) -> FittedFold:
    """The leak's own fitted values belong to the fitted state, as those of any transform do."""
    content = json.dumps({"preprocessing": state}, sort_keys=True).encode()
    return replace(fitted, parts={**fitted.parts, STATE: content}, predict=predict)
