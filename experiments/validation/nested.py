"""Nested validation of one cell: every outer fold tuned inside, the final model, and the proof that nothing leaked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for
from experiments.validation.cell import CellData, FittedFold, Fold, Procedure
from experiments.validation.certificate import (
    Finding,
    fitted_on,
    ids_disjoint,
    prove,
    summarise,
)
from experiments.validation.draws import relatives
from experiments.validation.planted import catch_planted
from experiments.validation.procedure import fit_fold
from experiments.validation.proxies import ProxyLimits, refuse_proxies
from experiments.validation.temporal import cut_of_fold
from experiments.validation.tuning import chosen
from features.errors import BadInput

FINAL = "final"
WHOLE: Mapping[str, tuple[str, ...]] = {
    "stratified_kfold": (),
    "leave_centre_out": ("centre",),
    "leave_country_out": ("country", "centre"),
    "temporal": (),
}


@dataclass(frozen=True)
class CellResult:
    """What nested validation of one outcome with one learner gives.

    Attributes:
        predictions: out-of-fold risks, as results.Predictions.
        trials: every tuning trial, as results.Trials.
        certificate: content of certificate.json.
        models: fitted files of each outer fold by the fold's name.
        final: fitted files of the model of all eligible rows.
        description: content of final.json.
        journals: names of the tuning journals that the trials stand in.
    """

    predictions: pl.DataFrame
    trials: pl.DataFrame
    certificate: Mapping[str, Any]
    models: Mapping[str, Mapping[str, bytes]]
    final: Mapping[str, bytes]
    description: Mapping[str, Any]
    journals: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Task:
    data: CellData
    fold: Fold
    procedure: Procedure
    journals: Path | None
    certify: bool
    plant: bool


@dataclass(frozen=True)
class _Done:
    fold: Fold
    parts: Mapping[str, bytes]
    columns: tuple[str, ...]
    fingerprint: str
    parameters: Mapping[str, Any]
    predictions: pl.DataFrame
    trials: pl.DataFrame
    findings: Sequence[Finding]
    planted: Sequence[Mapping[str, Any]]
    fitted_on: Mapping[str, Any]
    journal: str | None


def validate_cell(
    data: CellData,
    splits: pl.DataFrame,
    kinds: Mapping[str, str],
    procedure: Procedure,
    *,
    cuts: Mapping[str, float] | None = None,
    whole_in_final: bool = False,
    signed_off: Sequence[str] = (),
    limits: ProxyLimits | None = None,
    journals: Path | None = None,
    compute: Compute | None = None,
) -> CellResult:
    """Validate one learner for one outcome in every outer fold of its schemes, and fit the final model.

    The final model is the inner procedure run once on all eligible patients; nothing of it is chosen by an outer score.

    Args:
        data: all eligible rows.
        splits: results.Splits of the cell's schemes.
        kinds: each scheme's kind.
        procedure: what is done in each training set.
        cuts: the day of each temporal scheme before which all that is trained on was known.
        whole_in_final: the final model's inner folds keep centres whole, for an estimand about new centres.
        signed_off: predictors that look like the outcome and were judged not to be.
        limits: above what a single predictor is refused; None: the usual limits.
        journals: folder of the tuning journals, outside every stage's outputs.
        compute: where folds run; the result is the same everywhere.

    Raises:
        BadInput: predictors give the outcome away, or a check of the certificate failed.
        BadTarget: no model can be fitted in some fold.
    """
    refuse_proxies(
        data.X.select(procedure.predictors),
        data.target,
        data.rows["position"].to_numpy(),
        signed_off,
        procedure.names[0],
        limits=limits,
    )
    folds = [*outer_folds(data.rows, splits, kinds, cuts), _final_fold(whole_in_final)]
    firsts = {fold.scheme: fold.name for fold in reversed(folds) if fold.scheme != FINAL}
    tasks = [
        _Task(data, fold, procedure, journals, fold.name in firsts.values(), number == 0)
        for number, fold in enumerate(folds)
    ]
    done = map_tasks(_run, tasks, compute or Compute(), f"train {' '.join(procedure.names)}")
    certificate = _certificate(done)
    *outer, final = done
    return CellResult(
        predictions=pl.concat([one.predictions for one in outer]),
        trials=pl.concat([one.trials for one in done]),
        certificate=certificate,
        models={one.fold.name: one.parts for one in outer},
        final=final.parts,
        description=_describe(data, outer, final, procedure),
        journals=frozenset(one.journal for one in done if one.journal is not None),
    )


def outer_folds(
    rows: pl.DataFrame,
    splits: pl.DataFrame,
    kinds: Mapping[str, str],
    cuts: Mapping[str, float] | None = None,
) -> list[Fold]:
    """Return the outer folds of a splits frame as positions in `rows`; `cuts` holds the day of temporal schemes.

    Relatives of tested patients are trained on in no fold.
    """
    placed = splits.join(rows.select("prediction_id").with_row_index("place"), on="prediction_id", how="left")
    lost = placed["place"].null_count()
    if lost:
        raise BadInput(
            f"{lost} split predictions are not among the assembled rows. Run dvc repro from splits."
        )
    folds = []
    for (scheme, repeat, fold), part in placed.sort(["scheme", "repeat", "fold", "place"]).group_by(
        ["scheme", "repeat", "fold"], maintain_order=True
    ):
        name, test = str(scheme), np.sort(part["place"].to_numpy().astype(np.int64))
        cut, later = cut_of_fold(rows, test, name, kinds, cuts or {})
        unused = np.union1d(later, relatives(rows, test))
        whole = WHOLE[kinds[name]]
        folds.append(Fold(name, int(str(repeat)), int(str(fold)), test, whole=whole, cut=cut, unused=unused))
    return folds


def _final_fold(whole: bool) -> Fold:
    nobody = np.empty(0, dtype=np.int64)
    return Fold(scheme=FINAL, repeat=0, fold=0, test=nobody, whole=("centre",) if whole else ())


def _run(task: _Task) -> _Done:
    data, fold, procedure = task.data, task.fold, task.procedure
    fitted = fit_fold(data, fold, procedure, journals=task.journals)
    again = partial(fit_fold, procedure=procedure)
    seed = seed_for(procedure.seed, "certificate", *procedure.names)
    findings = prove(data, fold, fitted, again, seed) if task.certify else [ids_disjoint(data, fold, fitted)]
    planted = (
        catch_planted(data, again, fitted.parameters, seed, whole=bool(procedure.kind.context))
        if task.plant
        else []
    )
    return _Done(
        fold=fold,
        parts=fitted.parts,
        columns=fitted.columns,
        fingerprint=fitted.fingerprint,
        parameters=fitted.parameters,
        predictions=_predictions(data, fold, fitted),
        trials=_trials(fold, fitted),
        findings=findings,
        planted=planted,
        fitted_on=fitted_on(data.rows, fitted.train),
        journal=fitted.journal,
    )


def _predictions(data: CellData, fold: Fold, fitted: FittedFold) -> pl.DataFrame:
    names = data.rows["prediction_id"].to_numpy()[fold.test]
    horizons = data.target.horizons
    risk = fitted.predict(data.X[fold.test]) if len(fold.test) else np.empty((0, 1, len(horizons)))
    rows, causes, _ = risk.shape
    return pl.DataFrame(
        {
            "scheme": pl.Series([fold.scheme] * risk.size, dtype=pl.String),
            "repeat": pl.Series([fold.repeat] * risk.size, dtype=pl.Int32),
            "fold": pl.Series([fold.fold] * risk.size, dtype=pl.Int32),
            "prediction_id": pl.Series(np.repeat(names, causes * len(horizons)), dtype=pl.String),
            "cause": pl.Series(
                np.tile(np.repeat(np.arange(1, causes + 1), len(horizons)), rows), dtype=pl.Int8
            ),
            "horizon": pl.Series(np.tile(horizons, rows * causes), dtype=pl.Float64),
            "risk": pl.Series(risk.reshape(-1), dtype=pl.Float64),
        }
    )


def _trials(fold: Fold, fitted: FittedFold) -> pl.DataFrame:
    best = chosen(fitted.records).trial if fitted.records else -1
    schema = {
        "scheme": pl.String,
        "repeat": pl.Int32,
        "fold": pl.Int32,
        "trial": pl.Int32,
        "state": pl.String,
        "score": pl.Float64,
        "parameters": pl.String,
        "chosen": pl.Boolean,
    }
    rows = [
        (
            fold.scheme,
            fold.repeat,
            fold.fold,
            record.trial,
            record.state,
            record.score,
            json.dumps(record.parameters, sort_keys=True),
            record.trial == best,
        )
        for record in fitted.records
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _certificate(done: Sequence[_Done]) -> dict[str, Any]:
    checks = summarise([finding for one in done for finding in one.findings])
    control, *planted = [entry for one in done for entry in one.planted]
    problems = [
        f"The leakage certificate failed: {check['check']} ({check['detail']}; folds {', '.join(check['folds'])}). "
        "No model is written. Mend the learner or feature that sees more than its training rows."
        for check in checks
        if not check["passed"]
    ]
    problems += [
        f"The leakage certificate missed a planted leak ({entry['leak']}), so it proves nothing for this learner."
        for entry in planted
        if not entry["caught"]
    ]
    if control["caught"]:
        problems.append(
            "The leakage certificate raised an alarm without a leak in its control run "
            f"({', '.join(control['by'])}), so it proves nothing for this learner."
        )
    if problems:
        raise BadInput(*problems)
    return {
        "checks": checks,
        "planted": planted,
        "control_passed": not control["caught"],
        "fitted_on": {one.fold.name: one.fitted_on for one in done},
    }


def _describe(data: CellData, outer: Sequence[_Done], final: _Done, procedure: Procedure) -> dict[str, Any]:
    return {
        "kind": procedure.kind_name,
        "parameters": dict(final.parameters),
        "columns": list(final.columns),
        "rows": data.rows.height,
        "events": int(data.status().event.sum()),
        "seed": procedure.seed_for("model", final.fold),
        "fingerprint": final.fingerprint,
        "outer_models": {one.fold.name: one.fingerprint for one in outer},
    }
