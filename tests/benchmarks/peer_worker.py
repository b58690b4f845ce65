"""Runs one peer on one outer fold, in whatever interpreter holds it; imports nothing of this project.

    python peer_worker.py TOOL FOLDER SECONDS CONFIGURATIONS SEED

FOLDER holds train.parquet and test.parquet (feature columns), labels.npy and patients.npy of the training rows. Writes
risk.npy of the test rows. Both peers search on three inner folds that keep patients whole, on one core.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MOST_LEVELS = 250  # HistGradientBoosting takes 255 at most


def scikit_learn(train: Any, labels: Any, patients: Any, test: Any, *, configurations: int, seed: int) -> Any:
    """Return risks by RandomizedSearchCV over HistGradientBoostingClassifier."""
    from scipy.stats import loguniform, randint
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupKFold, RandomizedSearchCV

    search = RandomizedSearchCV(
        HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed),
        {
            "learning_rate": loguniform(0.01, 0.3),
            "max_iter": randint(50, 300),
            "max_leaf_nodes": randint(4, 32),
            "min_samples_leaf": randint(10, 100),
            "l2_regularization": loguniform(1e-3, 100),
        },
        n_iter=configurations,
        scoring="roc_auc",
        cv=GroupKFold(3),
        n_jobs=1,
        random_state=seed,
    )
    search.fit(train, labels, groups=patients)
    return search.predict_proba(test)[:, 1]


def flaml(train: Any, labels: Any, patients: Any, test: Any, *, seconds: float, seed: int) -> Any:
    """Return risks by FLAML within the seconds."""
    from flaml import AutoML  # type: ignore[import-not-found]  # no dependency: lives in another interpreter

    search = AutoML()
    search.fit(
        train,
        labels,
        task="classification",
        metric="roc_auc",
        time_budget=seconds,
        eval_method="cv",
        split_type="group",
        groups=patients,
        n_splits=3,
        n_jobs=1,
        seed=seed,
        verbose=0,
    )
    return search.predict_proba(test)[:, 1]


def frames(folder: Path) -> tuple[Any, Any]:
    """Return training and test columns; texts become categories of the training rows' most frequent levels."""
    train, test = pd.read_parquet(folder / "train.parquet"), pd.read_parquet(folder / "test.parquet")
    for name in train.columns:
        if not pd.api.types.is_numeric_dtype(train[name]):
            levels = sorted(train[name].value_counts().index[:MOST_LEVELS].astype(str))
            train[name] = pd.Categorical(train[name].astype(object), categories=levels)
            test[name] = pd.Categorical(test[name].astype(object), categories=levels)
    return train, test


def main(tool: str, folder: Path, seconds: float, configurations: int, seed: int) -> None:
    """Fit and write risk.npy."""
    train, test = frames(folder)
    labels, patients = np.load(folder / "labels.npy"), np.load(folder / "patients.npy")
    if tool == "flaml":
        risk = flaml(train, labels, patients, test, seconds=seconds, seed=seed)
    else:
        risk = scikit_learn(train, labels, patients, test, configurations=configurations, seed=seed)
    np.save(folder / "risk.npy", np.asarray(risk, dtype=np.float64))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
