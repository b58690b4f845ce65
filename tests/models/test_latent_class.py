"""Latent classes: StepMix is the reference for their densities and likelihood."""

import numpy as np
import polars as pl
import pytest
from stepmix import StepMix

from models.clustering.contract import ClusterOptions
from models.clustering.latent_class import LatentClassClusterer, prepare_design
from models.clustering.latent_density import Design
from models.clustering.latent_search import SMALLEST_VARIANCE, climbed, searched


def patients(n: int = 300, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    draws = np.random.default_rng(seed)
    stratum = draws.choice(2, n, p=[0.6, 0.4])
    numbers = draws.normal(size=(n, 3)) + 2.5 * stratum[:, None]
    numbers[draws.random(numbers.shape) < 0.15] = np.nan
    words = np.array(["a", "b", "c"])[np.where(draws.random(n) < 0.3, draws.integers(0, 3, n), 2 * stratum)]
    score = np.where(draws.random(n) < 0.3, draws.integers(0, 4, n), stratum + 1).astype(float)
    score[draws.random(n) < 0.1] = np.nan
    frame = pl.DataFrame(numbers, schema=["x", "y", "z"], nan_to_null=True)
    word = pl.when(pl.Series(draws.random(n)) < 0.1).then(None).otherwise(pl.Series(words))
    return frame.with_columns(word.alias("word"), pl.Series("score", score).fill_nan(None)), stratum


X, STRATUM = patients()
PREPARED = prepare_design(X, ClusterOptions())


def theirs(k: int, starts: int) -> tuple[StepMix, np.ndarray]:
    encoded = PREPARED.columns.encode(X)
    counts = [kind.codes for kind in PREPARED.columns.categories]
    descriptor: dict[str, dict[str, object]] = {
        "numbers": {"model": "gaussian_diag_nan", "n_columns": encoded.numbers.shape[1]},
        "categories": {
            "model": "categorical_nan",
            "n_columns": len(counts),
            "max_n_outcomes": max(counts),
            "total_outcomes": sum(counts),
        },
    }
    values = np.concatenate([encoded.numbers, np.where(encoded.codes < 0, np.nan, encoded.codes)], axis=1)
    model = StepMix(k, measurement=descriptor, n_init=starts, random_state=1, progress_bar=0, abs_tol=1e-6)
    return model.fit(values), values


def test_numbers_of_few_values_are_categories() -> None:
    assert [one.name for one in PREPARED.columns.numbers] == ["x", "y", "z"]
    assert [(one.name, one.codes) for one in PREPARED.columns.categories] == [("score", 4), ("word", 3)]


@pytest.mark.parametrize("k", [2, 3])
def test_probabilities_and_bic_are_stepmixs_at_the_same_parameters(k: int) -> None:
    model, values = theirs(k, 1)
    density = searched(PREPARED.design, k, 1, 5)
    counts = [kind.codes for kind in PREPARED.columns.categories]
    widest = max(counts)
    shares = np.full((k, len(counts), widest), 1e-15)
    for place, count in enumerate(counts):
        shares[:, place, :count] = density.shares[:, sum(counts[:place]) :][:, :count]
    parameters = model.get_parameters()
    parameters["weights"] = density.weights
    parameters["measurement"]["numbers"] |= {"means": density.means, "covariances": density.variances}
    parameters["measurement"]["categories"] |= {"pis": shares.reshape(k, -1)}
    model.set_parameters(parameters)
    np.testing.assert_allclose(model.predict_proba(values), density.probability(PREPARED.design), atol=1e-9)
    assert model.bic(values) == pytest.approx(density.bic(PREPARED.design), rel=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_the_likelihood_found_is_as_high_as_stepmixs_own(k: int) -> None:
    model, values = theirs(k, 3)
    ours = LatentClassClusterer(k, 1).fit(X, PREPARED)
    assert ours.bic(X) <= model.bic(values) + 2  # a share's prior costs a little likelihood


def test_more_climbing_never_loses_likelihood() -> None:
    short = climbed(PREPARED.design, 3, 1, None, 4)
    longer = climbed(PREPARED.design, 3, 1, short, 1)
    assert longer.bic(PREPARED.design) <= short.bic(PREPARED.design) + 1e-6


def test_classes_are_neither_duplicates_nor_empty() -> None:
    made = LatentClassClusterer(8, 2).fit(X, PREPARED)
    probability = made.predict_probability(X)
    assert probability.shape == (300, 8)
    sizes = np.bincount(probability.argmax(axis=1), minlength=8)
    for one in np.flatnonzero(probability.any(axis=0)):
        assert sizes[one] >= 11
        others = np.delete(probability, one, axis=1)
        assert np.abs(others - probability[:, [one]]).max(axis=0).min() > 0.05


def test_no_class_sits_on_values_under_the_limit_of_detection() -> None:
    draws = np.random.default_rng(5)
    values = np.maximum(draws.normal(size=(300, 3)), -0.5)
    atoms = pl.DataFrame(values, schema=["x", "y", "z"])
    density = searched(prepare_design(atoms, ClusterOptions()).design, 4, 1, 5)
    assert density.variances.min() >= SMALLEST_VARIANCE
    assert np.isfinite(density.bic(prepare_design(atoms, ClusterOptions()).design))


def test_missing_at_random_biases_no_mean() -> None:
    """Cells of z are missing where x is high: the class means stay, those of complete patients do not."""
    draws = np.random.default_rng(6)
    stratum = draws.choice(2, 2000, p=[0.5, 0.5])
    values = draws.normal(size=(2000, 3)) + 5 * stratum[:, None]
    values[:, 2] = np.where(values[:, 0] > 5, np.nan, values[:, 2])
    made = prepare_design(pl.DataFrame(values, schema=["x", "y", "z"], nan_to_null=True), ClusterOptions())
    density = searched(made.design, 2, 1, 3)
    scale = made.columns.numbers[2]
    means = np.sort(density.means[:, 2] * scale.unit + scale.centre)
    assert means == pytest.approx([0, 5], abs=0.2)


def test_a_column_without_known_cells_changes_nothing() -> None:
    made = LatentClassClusterer(2, 1).fit(X, PREPARED)
    columns = PREPARED.columns
    blank = X.with_columns(z=pl.lit(None, dtype=pl.Float64))
    design = Design.of(columns.encode(blank), columns)
    assert design.known[:, 2].sum() == 0
    agreement = made.predict_probability(blank).argmax(axis=1) == made.predict_probability(X).argmax(axis=1)
    assert agreement.mean() > 0.9
