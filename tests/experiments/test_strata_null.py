"""One group stays one group in its draws, strata stand out from them, and what is kept is kept."""

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.stratification.bridges import Components, fill_valleys, ridge
from experiments.stratification.draws import run_draws
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.marginals import column_of
from experiments.stratification.noise import without_noise
from experiments.stratification.null_test import decide, null_test
from experiments.stratification.one_group import score_correlation
from experiments.stratification.one_mode import nearest_with_one_mode, one_mode_density
from experiments.stratification.schemas import Draws
from experiments.stratification.separation import depth, discriminant_axis, separation_by_number, valley
from models.adjustment.plan import AdjustmentPlan
from models.clustering.contract import ClusterOptions
from models.strata_model import Recipe

N = 200
CENTRES = np.arange(N, dtype=np.int64) % 4


def recipe(X: pl.DataFrame, plan: AdjustmentPlan | None = None) -> Recipe:
    columns = tuple(sorted(name for name in X.columns if name.startswith("x")))
    return Recipe("k_means", columns, ClusterOptions(parameters={"n_init": 3}), plan)


def frame(values: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({f"x{place}": values[:, place] for place in range(values.shape[1])})


@cache
def mixed() -> tuple[pl.DataFrame, FeatureSource]:
    """Two correlated numbers, a score of whole numbers, a limit of detection with its flag, a category; centres differ."""
    generator = np.random.default_rng(1)
    latent = generator.multivariate_normal(np.zeros(5), 0.7 + 0.3 * np.eye(5), size=N)
    shifted = latent + 2.0 * (CENTRES == 0)[:, None]
    limit = float(np.quantile(latent[:, 3], 0.4))
    X = pl.DataFrame(
        {
            "x_a": shifted[:, 0],
            "x_b": np.where((CENTRES == 1) | (generator.random(N) < 0.1), np.nan, np.exp(shifted[:, 1])),
            "x_score": np.round(np.clip(3 * latent[:, 2] + 8, 0, 20)),
            "x_crp_log": np.maximum(latent[:, 3], limit),
            "x_crp_below_limit": (latent[:, 3] <= limit).astype(float),
            "x_smoker": ["yes" if one > 0.5 else "no" for one in latent[:, 4]],
            "context_centre": [f"C{code}" for code in CENTRES],
            "age": 40 + 10 * latent[:, 0],
        }
    ).with_columns(pl.col("x_b").fill_nan(None))
    plan = AdjustmentPlan(harmonise=("centring",), covariates=("age",), columns=("x_a",))
    return X, FeatureSource(X, CENTRES, recipe(X, plan), seed=3)


@pytest.mark.parametrize("null", ["copula", "continuum"])
def test_a_draw_keeps_columns_missing_cells_context_and_values(null: str) -> None:
    X, source = mixed()
    drawn = source.draw(null, np.random.default_rng(2))
    asked = source.X
    assert drawn.schema == asked.schema
    assert drawn.null_count().rows() == asked.null_count().rows()
    assert drawn["x_b"].is_null().to_list() == X["x_b"].is_null().to_list()
    for kept in ("context_centre", "age"):
        assert drawn[kept].to_list() == X[kept].to_list()
    assert set(drawn["x_score"]) <= set(X["x_score"])
    assert set(drawn["x_smoker"]) == {"yes", "no"}
    at_limit = drawn["x_crp_log"] == X["x_crp_log"].min()
    assert at_limit.to_list() == (drawn["x_crp_below_limit"] == 1).to_list()
    assert at_limit.mean() == pytest.approx(0.4, abs=0.08)
    assert (drawn["x_a"] != X["x_a"]).mean() > 0.9  # type: ignore[operator]


@pytest.mark.parametrize("null", ["copula", "continuum"])
def test_a_draw_keeps_correlations_and_the_differences_of_centres(null: str) -> None:
    X, source = mixed()
    first, others = CENTRES == 0, CENTRES > 1
    found = []
    for number in range(5):
        drawn = source.draw(null, np.random.default_rng(number))
        a, age, score = (drawn[name].to_numpy() for name in ("x_a", "age", "x_score"))
        smoker = (drawn["x_smoker"] == "yes").to_numpy()
        found.append(
            [
                a[first].mean() - a[others].mean(),
                np.corrcoef(a[others], score[others])[0, 1],
                np.corrcoef(a[others], age[others])[0, 1],
                a[smoker].mean() - a[~smoker].mean(),
            ]
        )
    a, age, score = (X[name].to_numpy() for name in ("x_a", "age", "x_score"))
    smoker = (X["x_smoker"] == "yes").to_numpy()
    wanted = [
        a[first].mean() - a[others].mean(),
        np.corrcoef(a[others], score[others])[0, 1],
        np.corrcoef(a[others], age[others])[0, 1],
        a[smoker].mean() - a[~smoker].mean(),
    ]
    np.testing.assert_allclose(np.mean(found, axis=0)[:3], wanted[:3], atol=0.25)
    # The continuum knows a category by its score alone, which weakens what hangs on it.
    assert np.mean(found, axis=0)[3] == pytest.approx(wanted[3], rel=0.25 if null == "copula" else 0.5)


def test_without_two_modes_the_copula_only_rearranges_the_values_of_a_column() -> None:
    values = np.random.default_rng(5).normal(size=(N, 2))
    X = frame(values)
    source = FeatureSource(X, np.zeros(N, dtype=np.int64), recipe(X), seed=1)
    drawn = source.draw("copula", np.random.default_rng(1))
    np.testing.assert_allclose(np.sort(drawn["x0"].to_numpy()), np.sort(values[:, 0]), atol=1e-9)


def test_the_same_generator_gives_the_same_draw() -> None:
    _, source = mixed()
    first, again = (source.draw("continuum", np.random.default_rng(8)) for _ in range(2))
    assert first.equals(again)
    with pytest.raises(ValueError, match="copula, continuum"):
        source.draw("gaussian", np.random.default_rng(8))


def test_two_modes_become_one_and_an_atom_at_the_limit_is_none() -> None:
    generator = np.random.default_rng(6)
    modes = np.concatenate([generator.normal(-2, 0.6, 300), generator.normal(2, 0.6, 300)])
    shape = one_mode_density(modes, modes)
    assert shape is not None
    weights = shape.weights(modes)
    between = np.abs(modes) < 1
    assert weights[between].mean() > 1.8 * weights[~between].mean()
    censored = np.concatenate([np.full(200, -4.0), modes])
    found = one_mode_density(censored, censored)
    assert found is not None
    assert (found.weights(censored)[:200] == 1).all()  # those at the limit
    assert one_mode_density(censored[:200], censored[:200]) is None
    assert one_mode_density(generator.normal(size=600), generator.normal(size=600)) is None


@pytest.mark.parametrize("separation", [4.0, 6.0, 12.0, 40.0])
def test_modes_however_far_apart_are_drawn_as_one(separation: float) -> None:
    """Between modes far apart there is nobody whose value could be drawn more often: places in between are."""
    generator = np.random.default_rng(7)
    values = pl.Series("x", generator.normal(size=400) + separation * (np.arange(400) % 2))
    column = column_of(values, np.zeros(400, dtype=np.int64))
    assert column is not None
    shares = column.marginal.ranked(generator.normal(size=400))
    drawn = column.marginal.restored(values, shares, one_mode=True).to_numpy()
    assert np.ptp(drawn) <= 1.05 * np.ptp(values.to_numpy())
    counts = np.histogram(drawn, bins=8)[0]
    deepest = min(
        counts[place] / min(counts[: place + 1].max(), counts[place:].max()) for place in range(len(counts))
    )
    assert deepest > 0.6
    own = np.histogram(column.marginal.restored(values, shares, one_mode=False).to_numpy(), bins=8)[0]
    assert own.min() < 0.4 * own.max()


def known(columns: int, rows: int) -> NDArray[np.float64]:
    return np.full((columns, columns), float(rows))


def sample_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.atleast_2d(np.corrcoef(values, rowvar=False))


def test_correlations_of_noise_are_not_drawn_again() -> None:
    generator = np.random.default_rng(8)
    noise = generator.normal(size=(300, 12))
    assert np.array_equal(without_noise(sample_of(noise), known(12, 300)), np.eye(12))
    few = sample_of(noise[:, :5])
    assert np.array_equal(without_noise(few, known(5, 300)), few)
    nobody = 0.9 * np.eye(7) + 0.1  # hardly a pair of columns is known of the same patients
    assert all(np.isfinite(without_noise(nobody, known(7, rows))).all() for rows in (0, 1, 2))


@pytest.mark.parametrize("shape", ["pair", "weak pair", "triple", "factor", "blocks", "neighbours"])
def test_correlations_that_are_there_stay(shape: str) -> None:
    """What a few columns have in common is kept like what all have; the whole is nearer to the truth than the sample."""
    truth = np.eye(20)
    if shape in {"pair", "weak pair"}:
        truth[0, 1] = truth[1, 0] = 0.9 if shape == "pair" else 0.5
    elif shape == "triple":
        truth[:3, :3] = 0.78
    elif shape == "factor":
        truth[:] = 0.5
    elif shape == "blocks":
        truth = np.kron(np.eye(5), np.full((4, 4), 0.6))
    else:
        truth = 0.8 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    np.fill_diagonal(truth, 1.0)
    errors = []
    for seed in range(4):
        values = np.random.default_rng(seed).multivariate_normal(np.zeros(20), truth, size=400)
        sample = sample_of(values)
        found = without_noise(sample, known(20, 400))
        assert abs(found[0, 1] - sample[0, 1]) < 0.06
        assert np.linalg.eigvalsh(found)[0] > 0
        errors.append([((one - truth) ** 2).mean() ** 0.5 for one in (found, sample)])
    ours, plain = np.mean(errors, axis=0)
    print(shape, f"{ours:.3f} {plain:.3f}")
    assert ours < 1.02 * plain


def test_the_nearest_density_of_one_mode_rises_and_falls() -> None:
    density = np.array([0.0, 1.0, 4.0, 1.0, 3.0, 1.0, 0.0])
    nearest = nearest_with_one_mode(density)
    peak = int(nearest.argmax())
    assert (np.diff(nearest[: peak + 1]) >= 0).all()
    assert (np.diff(nearest[peak:]) <= 0).all()
    assert nearest.sum() == pytest.approx(density.sum())


def test_latent_correlations_of_tied_columns_are_those_before_the_cuts() -> None:
    latent = np.random.default_rng(7).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=4000)
    centres = np.zeros(4000, dtype=np.int64)
    columns = [
        column_of(pl.Series("yes", np.where(latent[:, 0] > 0.3, "yes", "no")), centres),
        column_of(pl.Series("score", np.round(latent[:, 1] * 1.5)), centres),
    ]
    found = score_correlation([column for column in columns if column is not None])
    assert found[0, 1] == pytest.approx(0.6, abs=0.06)


def test_the_valley_of_two_groups_and_of_one_cut_in_two() -> None:
    generator = np.random.default_rng(9)
    whole = generator.normal(size=(400, 3))
    cut = whole[:, 0] > 0
    assert valley(whole[~cut], whole[cut]) > 0.9
    apart = generator.normal(size=(200, 3)) + np.array([4.0, 0, 0])
    # Two normal densities 4 SD apart: 2 phi(2) / phi(0) = 0.27 in the middle; the bandwidth fills a part.
    assert valley(whole[:200], apart) == pytest.approx(0.27, abs=0.17)
    assert valley(whole[:200], apart) == pytest.approx(valley(10 * whole[:200], 10 * apart), abs=1e-6)
    axis = discriminant_axis(whole[:200], apart)
    assert axis[0] / np.linalg.norm(axis) > 0.98
    assert depth(whole, np.zeros(400, dtype=np.int64)) == 0.0


def test_the_halves_of_a_curve_run_into_one_another() -> None:
    generator = np.random.default_rng(10)
    angle = np.sort(generator.uniform(0, 1.5 * np.pi, 400))
    curve = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.15 * generator.normal(size=(400, 2))
    halves = (np.arange(400) >= 200).astype(np.int64)
    assert valley(curve[:200], curve[200:]) < 0.4  # seen from the side
    assert depth(curve, halves) < 0.5


def test_a_number_with_too_small_a_stratum_has_no_separation() -> None:
    values = np.random.default_rng(11).normal(size=(N, 2)) * 0.3
    values[:9] += 5.0
    X = frame(values)
    for share, deep in ((0.05, False), (0.01, True)):
        found = separation_by_number(X, recipe(X), ks=(2,), smallest_share=share, seed=1)
        assert (found[2] is not None and found[2] > 0.5) is deep


def test_filled_valleys_are_level_and_touching_components_stay() -> None:
    one = np.eye(2)[None]
    apart = Components(np.array([0.6, 0.4]), np.array([[0.0, 0.0], [5.0, 0.0]]), np.concatenate([one, one]))
    filled, groups = fill_valleys(apart)
    path = ridge(apart, 0, 1)
    assert groups == 2
    assert apart.density(path).min() < 0.2 * apart.density(apart.means).min()
    assert filled.density(path).min() > 0.9 * apart.density(apart.means).min()
    near = Components(apart.weights, apart.means / 4, apart.covariances)
    same, groups = fill_valleys(near)
    assert groups == 1
    assert len(same.weights) == 2


def planted(separation: float, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(N, 4))
    values[:, :2] += separation / np.sqrt(2) * np.eye(2)[generator.integers(0, 2, N)]
    return frame(values)


@cache
def source_of(separation: float) -> FeatureSource:
    X = planted(separation, seed=1)
    return FeatureSource(X, CENTRES, recipe(X), 1)


@cache
def draws_of(separation: float) -> pl.DataFrame:
    source = source_of(separation)
    return run_draws(
        source,
        recipe(source.X),
        most_strata=3,
        smallest_share=0.05,
        draws=19,
        resamples=0,
        seed=1,
        compute=Compute(),
        journal=None,
    )


def test_planted_strata_stand_out_and_one_group_does_not() -> None:
    found = null_test(draws_of(5.0), level=0.05)
    assert found.status == "passed"
    assert [(one.name, one.n) for one in found.figures] == [
        ("p_copula", 19),
        ("p_continuum", 19),
        ("separation", 38),
    ]
    assert found.figures[0].estimate == pytest.approx(1 / 20)
    assert "19 of 19 draws of one group as a copula (p = 0.050)" in found.reason
    assert null_test(draws_of(0.0), level=0.05).status == "failed"


def test_deciding_early_gives_the_same_answer() -> None:
    for separation in (5.0, 0.0):
        source = source_of(separation)
        asked = decide(
            source,
            recipe(source.X),
            most_strata=3,
            smallest_share=0.05,
            draws=19,
            level=0.05,
            seed=1,
        )
        assert asked is (null_test(draws_of(separation), level=0.05).status == "passed")


@pytest.mark.parametrize("bend", ["curve", "shifted centres", "log-normal"])
def test_one_group_of_awkward_shape_stays_one(bend: str) -> None:
    claims = 0
    for seed in (13, 14):
        normal = np.random.default_rng(seed).normal(size=(N, 3))
        values = {
            "curve": np.column_stack([normal[:, 0], normal[:, 0] ** 2 + 0.5 * normal[:, 1], normal[:, 2]]),
            "shifted centres": normal + 2.0 * (CENTRES % 2)[:, None],
            "log-normal": np.exp(normal),
        }[bend]
        X = frame(values)
        source = FeatureSource(X, CENTRES, recipe(X), 1)
        claims += decide(source, recipe(X), most_strata=3, smallest_share=0.05, draws=19, level=0.05, seed=1)
    assert claims == 0


def test_p_by_hand() -> None:
    figures = {"observed": [0.5], "copula": [0.1, 0.5, 0.2, 0.3], "continuum": [0.1, 0.2, 0.3, 0.4]}
    rows = [
        {
            "null": null,
            "draw": place + (null != "observed"),
            "k": k,
            "separation": value if k == 2 else 0.0,
            "consensus": None,
        }
        for null, values in figures.items()
        for place, value in enumerate(values)
        for k in (2, 3)
    ]
    found = null_test(Draws.validate(pl.DataFrame(rows), cast=True), level=0.2)
    assert [one.estimate for one in found.figures] == [0.4, 0.2, 0.5]
    assert [one.passed for one in found.figures] == [False, True, None]
    assert found.status == "failed"


def test_no_valley_is_told_from_no_number_that_could_have_one() -> None:
    base = [
        {"null": null, "draw": place + (null != "observed"), "k": k, "separation": 0.0, "consensus": None}
        for null, number in (("observed", 1), ("copula", 4), ("continuum", 4))
        for place in range(number)
        for k in (2, 3)
    ]
    draws = Draws.validate(pl.DataFrame(base), cast=True)
    own = pl.col("null") == "observed"
    first = null_test(draws, level=0.2)
    assert first.reason.startswith("There is no valley between strata")
    nothing = draws.with_columns(separation=pl.when(~own).then("separation"))
    second = null_test(nothing, level=0.2)
    assert second.reason.startswith("No number of strata leaves every stratum large enough")
    assert [one.estimate for one in second.figures] == [1, 1, None]
    assert first.status == second.status == "failed"
    only_three = draws.with_columns(separation=pl.when(own).then(pl.when(pl.col("k") == 3).then(0.5)))
    third = null_test(only_three, level=0.2)  # draws in which no number could be looked at reach nothing
    assert (third.status, [one.estimate for one in third.figures]) == ("passed", [0.2, 0.2, 0.5])
    assert "(0.50 at k = 3)" in third.reason


def test_an_interrupted_run_goes_on_to_the_same_table(tmp_path: Path) -> None:
    source = source_of(5.0)

    def run(journal: Path | None) -> pl.DataFrame:
        return run_draws(
            source,
            recipe(source.X),
            most_strata=2,
            smallest_share=0.05,
            draws=2,
            resamples=0,
            seed=1,
            compute=Compute(),
            journal=journal,
        )

    whole = run(tmp_path)
    written = (tmp_path / "draws.jsonl").read_text().splitlines(keepends=True)
    assert len(written) == 6  # fingerprint, observed, two draws of each null
    (tmp_path / "draws.jsonl").write_text("".join(written[:3]) + written[3][:10])
    assert run(tmp_path).equals(whole)
    assert run(None).equals(whole)
    assert (tmp_path / "draws.jsonl").read_text().splitlines(keepends=True) == written
