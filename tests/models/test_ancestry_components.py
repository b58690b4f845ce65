"""Principal components: against numpy and plink2, the same whichever way genotypes come, and others without shrinkage."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.ancestry.components import (
    Blocks,
    Components,
    FittedComponents,
    from_samples,
    principal_components,
)
from models.ancestry.krylov import leading_eigenvectors
from models.errors import BadTarget
from tests.models.planted_ancestry import COPIES, packed, planted, standardised, write_plink

GOLDEN = json.loads((Path(__file__).parent / "golden" / "plink2_components.json").read_text(encoding="utf-8"))
CINECA = Path(os.environ.get("PSYSTRATA_DATA", "absent")) / "genotypes" / "cineca" / "cineca_synthetic_subset"
VARIANTS, TRAINED = 3001, 401  # neither fills its last byte


def fitted(codes: NDArray[np.uint8], **settings: Any) -> FittedComponents:
    settings = {"components": 5, "seed": 3, "least_carriers": 1} | settings
    blocks = settings.pop("blocks", from_samples(packed(codes), variants=codes.shape[1]))
    return principal_components(blocks, samples=len(codes), variants=codes.shape[1], **settings)


def by_variant(codes: NDArray[np.uint8], size: int) -> Blocks:
    whole = packed(codes.T)
    return lambda: (
        (slice(start, min(start + size, len(whole))), whole[start : start + size])
        for start in range(0, len(whole), size)
    )


@dataclass(frozen=True)
class Cohort:
    """Four populations, of which some people are fitted on."""

    train: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    population: NDArray[np.int64]
    fit: FittedComponents


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    codes, population = planted(901, VARIANTS, populations=4, fst=0.012, missing=0.01, seed=5)
    codes[:, 7] = 3  # nobody carries it
    return Cohort(codes[:TRAINED], codes[TRAINED:], population, fitted(codes[:TRAINED]))


def test_separated_components_are_those_of_a_singular_value_decomposition(cohort: Cohort) -> None:
    Y = standardised(cohort.train)
    with threadpool_limits(limits=1):
        left, lengths, right = np.linalg.svd(Y, full_matrices=False)
    np.testing.assert_allclose(
        cohort.fit.eigenvalues[:3], lengths[:3] ** 2 / cohort.fit.components.used, rtol=1e-9
    )
    signs = np.sign((left[:, :3] * cohort.fit.scores[:, :3]).sum(axis=0))
    np.testing.assert_allclose(cohort.fit.scores[:, :3], signs * left[:, :3] * np.sqrt(TRAINED), atol=1e-6)
    np.testing.assert_allclose(cohort.fit.loadings[:, :3], signs * right[:3].T, atol=1e-6)
    assert cohort.fit.components.used == VARIANTS - 1
    assert (cohort.fit.residuals[:3] < 1e-6).all()
    assert cohort.fit.variance[0] == pytest.approx(lengths[0] ** 2 / (lengths**2).sum(), rel=0.02)


def test_few_people_are_decomposed_exactly(cohort: Cohort) -> None:
    codes = cohort.train[:90]
    with threadpool_limits(limits=1):
        left, lengths, _ = np.linalg.svd(standardised(codes), full_matrices=False)
    fit = fitted(codes)
    np.testing.assert_allclose(fit.eigenvalues, lengths[:5] ** 2 / fit.components.used, rtol=1e-10)
    signs = np.sign((left[:, :5] * fit.scores).sum(axis=0))
    np.testing.assert_allclose(fit.scores, signs * left[:, :5] * np.sqrt(90), atol=1e-8)
    assert fit.passes == 2


def test_threads_and_blocks_change_no_byte(cohort: Cohort) -> None:
    for other in (
        fitted(cohort.train, threads=3),
        fitted(cohort.train, blocks=by_variant(cohort.train, 77)),
        fitted(cohort.train, blocks=by_variant(cohort.train, VARIANTS), threads=2),
    ):
        assert other.scores.tobytes() == cohort.fit.scores.tobytes()
        assert other.components.to_state() == cohort.fit.components.to_state()


def test_exchanging_the_alleles_of_variants_changes_no_score(cohort: Cohort) -> None:
    turned = cohort.train.copy()
    turned[:, ::3] = np.array([3, 1, 2, 0], dtype=np.uint8)[turned[:, ::3]]
    scores = fitted(turned).scores[:, :3]
    signs = np.sign((scores * cohort.fit.scores[:, :3]).sum(axis=0))
    np.testing.assert_allclose(signs * scores, cohort.fit.scores[:, :3], atol=1e-6)


def test_the_order_of_people_changes_no_score(cohort: Cohort) -> None:
    order = np.random.default_rng(0).permutation(TRAINED)
    np.testing.assert_allclose(
        fitted(cohort.train[order]).scores[:, :3], cohort.fit.scores[order, :3], atol=1e-6
    )


def test_variants_that_few_carry_weigh_nothing_and_leave_no_frequency(cohort: Cohort) -> None:
    codes = cohort.train.copy()
    codes[:, 0], codes[:, 1] = 3, 0
    codes[:10, 0], codes[:11, 1] = 2, 2
    components = fitted(codes, least_carriers=11).components
    assert components.frequencies[0] == components.frequencies[7] == 0
    assert (components.loadings[[0, 7]] == 0).all()
    assert components.frequencies[1] == pytest.approx(1 - 11 / (2 * TRAINED))


def test_people_who_were_not_fitted_on_lie_where_those_of_their_population_do(cohort: Cohort) -> None:
    components = cohort.fit.components
    new = components.project(packed(cohort.rest))[:, :3]
    old = cohort.fit.scores[:, :3]
    trained, other = cohort.population[:TRAINED], cohort.population[TRAINED:]
    for population in range(4):
        mine, theirs = new[other == population], old[trained == population]
        error = np.sqrt(mine.var(axis=0) / len(mine) + theirs.var(axis=0) / len(theirs))
        assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 4 * error + 0.02).all()
        np.testing.assert_allclose(mine.std(axis=0), theirs.std(axis=0), rtol=0.3)
    # Across populations places agree as a whole, and would not without the factor.
    centres = np.stack(
        [[part[who == one].mean(axis=0) for one in range(4)] for part, who in ((old, trained), (new, other))]
    )
    slope = (centres[0] * centres[1]).sum(axis=0) / (centres[0] ** 2).sum(axis=0)
    np.testing.assert_allclose(slope, 1, atol=0.06)
    assert (components.shrinkage[:3] < 0.75).all()


def test_shrinkage_of_a_spike_over_white_noise_is_the_known_one() -> None:
    draws = np.random.default_rng(2)
    people, columns, spikes = 400, 4000, np.array([120.0, 60.0])
    X = draws.normal(size=(people, columns))
    X[:, :2] *= np.sqrt(spikes)
    spectrum = leading_eigenvectors(
        lambda vectors: X @ (X.T @ vectors),
        size=people,
        wanted=2,
        width=16,
        iterations=12,
        tolerance=1e-6,
        seed=1,
    )
    known = (spikes - 1) / (spikes - 1 + columns / people)
    np.testing.assert_allclose(spectrum.shrinkage(), known, atol=0.02)
    assert spectrum.passes < 12
    assert spectrum.total == pytest.approx((X**2).sum(), rel=0.02)


def test_a_rank_smaller_than_asked_ends_the_iteration() -> None:
    factor = np.random.default_rng(1).normal(size=(500, 20))
    spectrum = leading_eigenvectors(
        lambda vectors: factor @ (factor.T @ vectors),
        size=500,
        wanted=30,
        width=16,
        iterations=10,
        tolerance=0,
        seed=1,
    )
    np.testing.assert_allclose(spectrum.values, np.linalg.svd(factor)[1] ** 2, rtol=1e-9)
    assert spectrum.passes <= 3


def test_projection_is_the_same_alone_and_as_a_weighted_sum(cohort: Cohort) -> None:
    components = cohort.fit.components
    rows = packed(cohort.rest)
    together = components.project(rows, threads=2)
    for person in (0, 1, 250):
        assert components.project(rows[person : person + 1]).tobytes() == together[person].tobytes()
    weights, constant = components.projection_weights()
    copies = COPIES[cohort.rest]
    known = np.where(np.isnan(copies), 2 * components.frequencies, copies)
    np.testing.assert_allclose(constant + known @ weights, together, atol=1e-10)
    nobody = np.full((1, VARIANTS), 1, dtype=np.uint8)
    np.testing.assert_array_equal(components.project(packed(nobody)), 0)


def test_training_people_stretched_back_are_their_scores(cohort: Cohort) -> None:
    components = cohort.fit.components
    projected = components.project(packed(cohort.train)) * components.shrinkage
    np.testing.assert_allclose(projected[:, :3], cohort.fit.scores[:, :3], atol=1e-5)
    np.testing.assert_allclose((cohort.fit.scores**2).mean(axis=0), 1)


def test_more_components_than_one_register_holds(cohort: Cohort) -> None:
    wide = fitted(cohort.train, components=18, oversample=4, iterations=12)
    np.testing.assert_allclose(wide.scores[:, :3], cohort.fit.scores[:, :3], atol=1e-5)
    projected = wide.components.project(packed(cohort.rest))
    np.testing.assert_allclose(
        projected[:, :3], cohort.fit.components.project(packed(cohort.rest))[:, :3], atol=0.05
    )
    assert projected.shape == (500, 18)


def test_a_stored_model_is_the_fitted_one_and_holds_nobody(cohort: Cohort) -> None:
    components = cohort.fit.components
    text = json.dumps(components.to_state())
    rows = packed(cohort.rest)
    again = Components.from_state(json.loads(text))
    assert again.project(rows).tobytes() == components.project(rows).tobytes()
    assert text.count(",") + 1 == VARIANTS * 6 + 2 * 5 + 1  # no number per person


@pytest.mark.parametrize("name", ["people", "frequencies", "loadings", "eigenvalues", "shrinkage"])
def test_damaged_states_are_refused(cohort: Cohort, name: str) -> None:
    state = cohort.fit.components.to_state()
    with pytest.raises(BadTarget, match="damaged"):
        Components.from_state({key: value for key, value in state.items() if key != name})
    with pytest.raises(BadTarget, match="damaged"):
        Components.from_state(state | {name: ["x"]})


def test_what_cannot_be_fitted_is_said(cohort: Cohort) -> None:
    with pytest.raises(BadTarget, match="5 components were asked of 5 people"):
        fitted(cohort.train[:5])
    with pytest.raises(BadTarget, match="5 components were asked of 4 usable variants in 30 people"):
        fitted(cohort.train[:30, 10:14])
    with pytest.raises(BadTarget, match="0 usable variants"):
        fitted(np.full((40, 50), 3, dtype=np.uint8))
    with pytest.raises(BadTarget, match="3000 variants came, but 3001"):
        fitted(cohort.train, blocks=by_variant(cohort.train[:, :-1], 500))
    with pytest.raises(BadTarget, match="blocks must follow"):
        fitted(cohort.train, blocks=lambda: [(slice(4, 8), packed(cohort.train.T[4:8]))])
    with pytest.raises(BadTarget, match="do not fit components of 3001 variants"):
        cohort.fit.components.project(packed(cohort.rest[:, :-8]))


def agree(fit: FittedComponents, theirs: dict[str, Any], *, separated: int) -> None:
    """Eigenvalues, and eigenvectors up to sign, agree to the digits printed."""
    np.testing.assert_allclose(fit.eigenvalues[:separated], theirs["eigenvalues"][:separated], rtol=1e-5)
    vectors = np.array(theirs["eigenvectors"])[:, :separated]
    ours = fit.scores[: len(vectors), :separated] / np.sqrt(fit.components.people)
    np.testing.assert_allclose(ours * np.sign((ours * vectors).sum(axis=0)), vectors, atol=2e-6)


def test_components_equal_those_of_plink2() -> None:
    codes, _ = planted(**GOLDEN["planted"]["arguments"])
    agree(fitted(codes, iterations=24), GOLDEN["planted"], separated=5)


@pytest.mark.real_data
@pytest.mark.skipif(
    not CINECA.with_suffix(".bed").is_file(), reason="PSYSTRATA_DATA names no genotypes/cineca"
)
def test_components_of_real_haplotypes_equal_those_of_plink2() -> None:
    people = len(CINECA.with_suffix(".fam").read_text(encoding="utf-8").splitlines())
    read = np.frombuffer(CINECA.with_suffix(".bed").read_bytes()[3:], dtype=np.uint8).reshape(
        -1, (people + 3) // 4
    )
    called = np.array([not (row & ~(row >> 1) & 0x55).any() for row in read])
    kept = read[called]
    fit = principal_components(
        lambda: [(slice(0, len(kept)), kept)],
        samples=people,
        variants=len(kept),
        components=5,
        seed=1,
        least_carriers=1,
    )
    agree(fit, GOLDEN["cineca"], separated=5)


@pytest.mark.skipif(shutil.which("plink2") is None, reason="plink2 is not installed")
def test_components_equal_those_of_the_installed_plink2(tmp_path: Path) -> None:
    codes, _ = planted(**(GOLDEN["planted"]["arguments"] | {"seed": 9}))
    write_plink(tmp_path / "g", codes)
    asked = ["--bfile", str(tmp_path / "g"), "--pca", "3", "--threads", "1", "--out", str(tmp_path / "made")]
    subprocess.run(["plink2", *asked], check=True, capture_output=True)
    vectors = np.loadtxt(tmp_path / "made.eigenvec", usecols=range(2, 5))
    theirs = {"eigenvalues": np.loadtxt(tmp_path / "made.eigenval"), "eigenvectors": vectors}
    agree(fitted(codes), theirs, separated=3)
