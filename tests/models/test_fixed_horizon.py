"""Learners at fixed horizons: several of them, competing events, and what they refuse."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from models.errors import BadTarget
from models.registry import LEARNERS
from models.target import Target

ALL = sorted(name for name, kind in LEARNERS.items() if "label" in kind.targets)


def followed(n: int = 1500) -> tuple[pl.DataFrame, Target]:
    draws = np.random.default_rng(6)
    marker = draws.normal(size=n)
    relapse, death, lost = (
        draws.exponential(500 * np.exp(-marker)),
        draws.exponential(3000, n),
        draws.exponential(900, n),
    )
    time = np.minimum(np.minimum(relapse, death), lost)
    cause = np.where(time == relapse, 1, np.where(time == death, 2, 0))
    return pl.DataFrame({"marker": marker}), Target.from_times(time, cause, [180.0, 365.0])


@pytest.mark.parametrize("name", ALL)
def test_one_model_per_horizon(name: str) -> None:
    X, target = followed()
    learner = LEARNERS[name].build({}, predictors=["marker"], seed=1).fit(X, target)
    risk = learner.predict_risk(X, [365.0, 180.0])
    several = name == "base_rate"  # it alone tells the risk of death too
    assert risk.shape == (1500, 1 + several, 2)
    assert risk[:, 0, 0].mean() > risk[:, 0, 1].mean()
    np.testing.assert_array_equal(risk[:, :, 1:], learner.predict_risk(X, [180.0]))
    assert len(learner.to_parts()) == 3 + several
    contributions, base = learner.explain(X)
    main = risk[:, 0, 0]
    np.testing.assert_allclose(learner.score(X), np.log(main / (1 - main)), atol=1e-6)
    np.testing.assert_allclose(base + contributions.sum(axis=1), learner.score(X), atol=1e-6)


@pytest.mark.parametrize("name", ["base_rate", "clinical", "elastic_net"])
def test_mean_risk_is_the_cumulative_incidence_with_competing_death(name: str) -> None:
    X, target = followed()
    horizon, weights = 365.0, target.weights(365.0)
    risk = LEARNERS[name].build({}, predictors=["marker"], seed=1).fit(X, target).predict_risk(X, [horizon])
    assert np.average(risk[:, 0, 0], weights=weights) == pytest.approx(
        np.average(target.labels(horizon), weights=weights), abs=1e-4
    )


def test_clinical_model_is_a_logistic_regression() -> None:
    X, target = followed()
    learner = LEARNERS["clinical"].build({}, predictors=["marker"], seed=1).fit(X, target)
    theirs = LogisticRegression(C=1e6).fit(
        X.to_numpy(), target.labels(180.0), sample_weight=target.weights(180.0)
    )
    np.testing.assert_allclose(
        learner.predict_risk(X, [180.0])[:, 0, 0], theirs.predict_proba(X.to_numpy())[:, 1], atol=2e-3
    )


@pytest.mark.parametrize("predictors", [None, []])
def test_clinical_model_without_predictors_is_refused(predictors: list[str] | None) -> None:
    with pytest.raises(BadTarget, match="clinical needs its predictors by name"):
        LEARNERS["clinical"].build({}, predictors=predictors, seed=1)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"base_rate"}))
def test_predictor_that_is_not_there_is_named(name: str) -> None:
    X, target = followed()
    with pytest.raises(BadTarget, match="crp_mean"):
        LEARNERS[name].build({}, predictors=["marker", "crp_mean"], seed=1).fit(X, target)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"base_rate"}))
def test_columns_without_variation_are_refused(name: str) -> None:
    X, target = followed()
    with pytest.raises(BadTarget, match="None of the 1 columns varies"):
        LEARNERS[name].build({}, predictors=["marker"], seed=1).fit(
            X.with_columns(marker=pl.lit(1.0)), target
        )


@pytest.mark.parametrize("name", ALL)
def test_unfitted_unknown_horizon_and_wrong_length_are_refused(name: str) -> None:
    X, target = followed()
    learner = LEARNERS[name].build({}, predictors=["marker"], seed=1)
    with pytest.raises(BadTarget, match="not been fitted"):
        learner.predict_risk(X, [180.0])
    with pytest.raises(BadTarget, match="1499 rows but the target 1500"):
        learner.fit(X.head(1499), target)
    with pytest.raises(BadTarget, match=r"not for \[90"):
        learner.fit(X, target).predict_risk(X, [90.0])
