import numpy as np
import pytest
from stepmix.stepmix import StepMix

from experiments.stratification.uncertainty import (
    Classified,
    mean_influence,
    mixed_means,
    weighted_means,
)
from tests.experiments.related_patients import planted


def test_corrected_weights_sum_to_one_patient_and_undo_the_classification_error() -> None:
    classified = planted(500, 1.8, 1, k=3).classified
    weights = classified.weights()
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert weights.min() < 0
    one_hot = np.eye(3)[classified.assigned]
    # The error matrix maps true strata to assigned ones; sums of weights map assigned ones back to the memberships' sums.
    assert (one_hot.T @ weights) == pytest.approx(
        np.diag(one_hot.sum(axis=0)) @ np.linalg.inv(classified.errors())
    )
    assert weights.sum(axis=0) == pytest.approx(classified.probability.sum(axis=0))


def test_sure_memberships_need_no_correction() -> None:
    sure = Classified.of(np.eye(2)[np.arange(40) % 2])
    values = np.random.default_rng(1).normal(size=40)
    assert weighted_means(values, sure.weights()) == pytest.approx(
        weighted_means(values, sure.naive_weights())
    )
    assert mixed_means(values, sure, binary=False).means == pytest.approx(  # type: ignore[union-attr]
        weighted_means(values, sure.naive_weights())
    )


def test_means_are_those_of_stepmix() -> None:
    generator = np.random.default_rng(4)
    group = generator.integers(0, 2, 300)
    items = (generator.random((300, 6)) < np.where(group[:, None] == 0, 0.25, 0.75)).astype(float)
    share = (generator.random(300) < np.where(group == 0, 0.2, 0.6)).astype(float)
    number = group + generator.normal(size=300)
    options = {"n_components": 2, "measurement": "binary", "random_state": 1, "abs_tol": 1e-9, "rel_tol": 0.0}
    options |= {"max_iter": 3000, "progress_bar": 0}
    classified = Classified.of(StepMix(n_steps=1, **options).fit(items).predict_proba(items))
    assert 0.05 < 1 - np.diag(classified.errors()).min() < 0.3

    def reference(correction: str, values: np.ndarray, structural: str) -> np.ndarray:
        model = StepMix(
            n_steps=3, correction=correction, assignment="modal", structural=structural, **options
        )
        found = model.fit(items, values[:, None])._sm.get_parameters()
        return np.asarray(found["pis" if structural == "binary" else "means"]).ravel()

    for values, structural, binary in ((share, "binary", True), (number, "gaussian_diag", False)):
        weighted = weighted_means(values, classified.weights())
        assert weighted == pytest.approx(reference("BCH", values, structural), abs=1e-6)
        mixed = mixed_means(values, classified, binary=binary)
        assert mixed is not None
        assert mixed.means == pytest.approx(reference("ML", values, structural), abs=1e-4)


@pytest.mark.parametrize("correction", ["bch", "ml"])
def test_corrections_find_the_planted_difference_that_assignment_shrinks(correction: str) -> None:
    made = planted(6000, 1.6, 2)
    values = made.stratum + np.random.default_rng(3).normal(size=6000)
    naive = weighted_means(values, made.classified.naive_weights())
    assert naive[1] - naive[0] < 0.75
    if correction == "bch":
        corrected = weighted_means(values, made.classified.weights())
    else:
        mixed = mixed_means(values, made.classified, binary=False)
        assert mixed is not None
        corrected = mixed.means
    assert corrected[1] - corrected[0] == pytest.approx(1.0, abs=0.1)


def test_standard_errors_are_those_of_a_bootstrap() -> None:
    made = planted(300, 2.0, 5)
    generator = np.random.default_rng(6)
    values = made.stratum + generator.normal(size=300)
    weights = made.classified.weights()
    moved = mean_influence(values, made.classified, weights, weighted_means(values, weights))
    counts = generator.multinomial(300, np.full(300, 1 / 300), size=800).astype(np.float64)
    drawn = weighted_means(values, made.classified.weights(counts), counts)
    assert np.sqrt((moved**2).sum(axis=0)) == pytest.approx(drawn.std(axis=0), rel=0.12)


def test_strata_that_nobody_tells_apart_are_not_corrected() -> None:
    assert planted(300, 2.0, 7).classified.correctable
    assert not planted(300, 0.2, 7).classified.correctable
    assert not Classified.of(np.tile([0.6, 0.4], (50, 1))).correctable  # the second is never assigned
