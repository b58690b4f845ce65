"""Components and ancestry inside the fold: what was planted is found, confounding goes and true effects stay."""

import json
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from models.adjustment import fold_components
from models.adjustment.adjustment import Adjustment
from models.adjustment.genetic_plan import AncestryPlan, ComponentPlan, FrequencyPlan, GeneticPlan
from models.adjustment.learner import AdjustedLearner, adjusted
from models.adjustment.plan import AdjustmentPlan, Composite
from models.ancestry.components import FittedComponents, principal_components
from models.errors import BadTarget
from models.registry import LEARNERS
from models.storage import load_learner
from models.target import Target
from tests.models.adjustment.genetic_people import drifted, genotype_column

Floats = NDArray[np.float64]

PEOPLE, TRAINED = 600, 420
COMPONENTS = ("genetic_component_1", "genetic_component_2")


@cache
def cohort() -> tuple[pl.DataFrame, Floats]:
    """Return two scores that differ by population with the genotypes beside them, and their part within populations.

    The second score's spread differs too.
    """
    people = drifted(PEOPLE, 800, 3, 0.04, seed=2)
    draws = np.random.default_rng(3)
    within = draws.normal(size=(PEOPLE, 2))
    spread = np.column_stack([np.ones(PEOPLE), 1 + 0.5 * people.centred])
    X = pl.DataFrame(
        {
            "genetic_one": 2.0 * people.centred + within[:, 0],
            "genetic_two": people.centred + spread[:, 1] * within[:, 1],
            "clinical_age": draws.normal(40, 10, PEOPLE),
            "genetic_variants": genotype_column("genetic_variants", people.copies),
        }
    )
    return X, within


def population() -> NDArray[np.int64]:
    return drifted(PEOPLE, 800, 3, 0.04, seed=2).centred


def plan(how: Any = "mean_variance", **more: Any) -> AdjustmentPlan:
    components = ComponentPlan(
        2, as_predictors=more.pop("as_predictors", False), families=more.pop("families", None)
    )
    return AdjustmentPlan(genetics=GeneticPlan(None, components, AncestryPlan(how=how, **more)))


def fitted(asked: AdjustmentPlan, X: pl.DataFrame | None = None) -> Adjustment:
    rows = cohort()[0][:TRAINED] if X is None else X
    return Adjustment.fit(rows, asked, columns=["genetic_one", "genetic_two", "clinical_age"], seed=5)


def correlation(one: Any, other: Any) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_confounding_by_ancestry_goes_and_an_effect_within_ancestry_stays() -> None:
    X, within = cohort()
    noise = np.random.default_rng(6).normal(size=PEOPLE)
    confounded = 1.5 * population() + noise
    true = confounded + 0.7 * within[:, 0]
    tested = slice(TRAINED, PEOPLE)
    raw = X["genetic_one"].to_numpy()[tested]
    after = fitted(plan("mean")).transform(X[TRAINED:])["genetic_one"].to_numpy()
    assert correlation(raw, confounded[tested]) > 0.5
    assert abs(correlation(after, confounded[tested])) < 0.12
    slope = np.polyfit(after, true[tested], 1)[0]
    assert slope == pytest.approx(0.7, abs=0.3)
    assert correlation(after, within[tested, 0]) > 0.9


def test_mean_and_variance_of_every_ancestry_become_alike_in_training_and_in_new_people() -> None:
    X, _ = cohort()
    made, seen = Adjustment.fit_transform(
        X[:TRAINED], plan(), columns=["genetic_one", "genetic_two", "clinical_age"], seed=5
    )
    scores = pl.concat([seen, made.transform(X[TRAINED:])])["genetic_two"].to_numpy()
    for part in (slice(0, TRAINED), slice(TRAINED, PEOPLE)):
        for level in (-1, 0, 1):
            own = scores[part][population()[part] == level]
            assert abs(own.mean()) < 0.25
            assert own.std() == pytest.approx(1, abs=0.25)
    assert seen["clinical_age"].equals(X["clinical_age"][:TRAINED])


def test_components_of_new_people_lie_where_those_of_training_lie() -> None:
    X, _ = cohort()
    asked = AdjustmentPlan(genetics=GeneticPlan(components=ComponentPlan(2, as_predictors=True)))
    made, seen = Adjustment.fit_transform(X[:TRAINED], asked, columns=["clinical_age"], seed=5)
    new = made.transform(X[TRAINED:])
    assert seen.columns == new.columns == ["clinical_age", *COMPONENTS]
    for name in COMPONENTS:
        for level in (-1, 0, 1):
            own, other = (
                frame[name].to_numpy()[population()[part] == level]
                for frame, part in ((seen, slice(0, TRAINED)), (new, slice(TRAINED, PEOPLE)))
            )
            assert own.mean() == pytest.approx(other.mean(), abs=0.1)
    together = np.abs([correlation(new[name], population()[TRAINED:]) for name in COMPONENTS])
    assert together.max() > 0.6
    assert made.transform(X[500:501]).rows() == new[500 - TRAINED : 501 - TRAINED].rows()
    stretched = made.transform(X[:TRAINED])
    assert stretched[COMPONENTS[0]].to_numpy().std() > seen[COMPONENTS[0]].to_numpy().std()


def test_who_is_predicted_changes_nothing_that_is_fitted() -> None:
    X, _ = cohort()
    patients = np.arange(TRAINED)
    again = fitted(plan(as_predictors=True), X[:TRAINED].with_columns(spare=pl.lit(b"x")))
    assert again.to_state() == fitted(plan(as_predictors=True)).to_state()
    twice = np.concatenate([patients, patients[:50]])
    repeated = Adjustment.fit(
        X[twice], plan(), columns=["genetic_one", "genetic_two", "clinical_age"], patients=twice, seed=5
    )
    assert repeated.to_state()["genetics"] == fitted(plan()).to_state()["genetics"]


def test_a_person_without_genotypes_has_no_component_and_no_score() -> None:
    X, _ = cohort()
    lacking = X.with_columns(
        genetic_variants=pl.when(pl.int_range(pl.len()) % 10 > 0).then("genetic_variants")
    )
    made, seen = Adjustment.fit_transform(
        lacking[:TRAINED], plan(as_predictors=True), columns=["genetic_one", "clinical_age"], seed=5
    )
    new = made.transform(lacking[TRAINED:])
    for frame in (seen, new):
        for name in ("genetic_one", *COMPONENTS):
            np.testing.assert_array_equal(frame[name].is_null(), np.arange(frame.height) % 10 == 0)
    nobody = made.transform(X.with_columns(genetic_variants=pl.lit(None, dtype=pl.String)))
    assert nobody["genetic_one"].null_count() == PEOPLE
    assert nobody["clinical_age"].null_count() == 0


def test_one_person_of_each_family_is_fitted_on_and_the_others_are_projected() -> None:
    X, _ = cohort()
    family = pl.Series(
        "genetic_family", [f"f{place // 2}" if place < 100 else None for place in range(PEOPLE)]
    )
    made, seen = Adjustment.fit_transform(
        X.with_columns(family)[:TRAINED], plan(families="genetic_family", as_predictors=True),
        columns=["genetic_one"], seed=5,
    )  # fmt: skip
    alone = np.r_[np.arange(0, 100, 2), np.arange(100, TRAINED)]
    without = fitted(plan(as_predictors=True), X[alone])
    assert made.genetics is not None
    assert without.genetics is not None
    assert made.genetics.components is not None
    assert without.genetics.components is not None
    assert made.genetics.components.to_state() == without.genetics.components.to_state()
    projected = made.genetics.components.project(X[1:100:2])
    np.testing.assert_array_equal(seen.select(COMPONENTS).to_numpy()[1:100:2], projected)


def test_projected_components_of_a_reference_serve_as_well() -> None:
    X, within = cohort()
    centred = population().astype(np.float64)
    X = X.with_columns(genetic_component_1=pl.Series(centred), genetic_component_2=pl.Series(np.abs(centred)))
    asked = AdjustmentPlan(genetics=GeneticPlan(ancestry=AncestryPlan(("genetic_one",), "mean", True, 2)))
    assert asked.context == asked.places == COMPONENTS
    made = fitted(asked, X[:TRAINED])
    out = made.transform(X[TRAINED:])
    assert out.columns == ["clinical_age", "genetic_one", "genetic_two", "genetic_one_raw"]
    assert correlation(out["genetic_one"], within[TRAINED:, 0]) > 0.99
    assert out["genetic_one_raw"].equals(X["genetic_one"][TRAINED:].alias("genetic_one_raw"))
    assert out["genetic_two"].equals(X["genetic_two"][TRAINED:])


def test_centres_are_not_harmonised_in_their_components() -> None:
    X, _ = cohort()
    centre = pl.Series(np.where(population() == 1, "north", "south"))
    columns = ["genetic_one", "clinical_age"]
    plain = AdjustmentPlan(genetics=GeneticPlan(components=ComponentPlan(2, as_predictors=True)))
    centred = AdjustmentPlan(harmonise=("centring",), genetics=plain.genetics)
    X = X.with_columns(context_centre=centre)
    one, other = (
        Adjustment.fit_transform(X[:TRAINED], asked, columns=columns, seed=5)[1] for asked in (plain, centred)
    )
    assert one.select(COMPONENTS).equals(other.select(COMPONENTS))
    assert not one["genetic_one"].equals(other["genetic_one"])


@pytest.mark.parametrize("kind", ["elastic_net", "lightgbm", "stacking"])
def test_a_learner_with_genetic_steps_is_a_learner(kind: str) -> None:
    X, within = cohort()
    labels = (within[:, 0] + population() > 0).astype(np.int64)
    asked = AdjustmentPlan(
        impute=("iterative",),
        composites={"genetic_both": Composite(("genetic_one", "genetic_two"))},
        genetics=plan(as_predictors=True, keep_raw=True).genetics,
    )
    made = adjusted(LEARNERS[kind], asked)
    assert made.context == ("genetic_variants",)
    predictors = ["clinical_age", "genetic_one", "genetic_two"]
    more = {"modalities": {name: name.split("_")[0] for name in predictors}} if made.uses_modalities else {}
    learner = made.build(dict(made.defaults), predictors=predictors, seed=7, **more)
    learner = learner.fit(X[:TRAINED], Target.from_labels(labels[:TRAINED]))
    assert isinstance(learner, AdjustedLearner)
    assert {*COMPONENTS, "genetic_one_raw", "genetic_both"} <= set(learner.columns)
    risk = learner.predict_risk(X[TRAINED:], [0.0])
    again = load_learner(learner.to_parts())
    assert again.to_parts() == learner.to_parts()
    np.testing.assert_array_equal(again.predict_risk(X[TRAINED:], [0.0]), risk)
    np.testing.assert_allclose(learner.predict_risk(X[TRAINED : TRAINED + 1], [0.0])[0], risk[0], rtol=1e-9)
    contributions, base = learner.explain(X[TRAINED:])
    np.testing.assert_allclose(base + contributions.sum(axis=1), learner.score(X[TRAINED:]), atol=1e-6)


def test_tuning_fits_components_once_and_gives_what_fitting_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    X, within = cohort()
    X, target = X[:TRAINED], Target.from_labels((within[:TRAINED, 0] > 0).astype(np.int64))
    asked = AdjustmentPlan(impute=("none", "median", "iterative"), genetics=plan(as_predictors=True).genetics)
    kind = adjusted(LEARNERS["elastic_net"], asked)

    def unfitted(impute: str) -> AdjustedLearner:
        learner = kind.build({**kind.defaults, "impute": impute}, predictors=["genetic_one"], seed=7)
        assert isinstance(learner, AdjustedLearner)
        return learner

    alone = [unfitted(impute).fit(X, target).to_parts() for impute in asked.impute]
    fits = []

    def counted(*given: Any, **more: Any) -> FittedComponents:
        fits.append(1)
        return principal_components(*given, **more)

    monkeypatch.setattr(fold_components, "principal_components", counted)
    prepared = unfitted("none").prepare(X, target)
    assert [unfitted(impute).fit_prepared(prepared).to_parts() for impute in asked.impute] == alone
    assert len(fits) == 1


def test_no_stored_number_is_that_of_a_person() -> None:
    X, _ = cohort()
    made, seen = Adjustment.fit_transform(
        X[:TRAINED], plan(as_predictors=True), columns=["genetic_one", "genetic_two"], seed=5
    )
    stored: set[float] = set()

    def gather(part: Any) -> None:
        if isinstance(part, float):
            stored.add(part)
        elif isinstance(part, dict | list):
            for one in part.values() if isinstance(part, dict) else part:
                gather(one)

    gather(made.to_state())
    own = pl.concat([seen, X[:TRAINED].select(seen.columns[:2]), made.transform(X[:TRAINED])], how="diagonal")
    assert len(stored) > 1000
    assert stored.isdisjoint({value for name in own.columns for value in own[name].drop_nulls()})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("components", "order"), 3),
        (("components", "components", "eigenvalues"), [1.0]),
        (("components",), None),
        (("ancestry",), None),
        (("ancestry", "genetic_one", "mean"), "x"),
        (("ancestry", "genetic_strange"), {}),
    ],
)
def test_damaged_states_are_refused(place: tuple[str, ...], value: Any) -> None:
    state = json.loads(json.dumps(fitted(plan()).to_state()))
    *way, last = place
    inner = state["genetics"]
    for key in way:
        inner = inner[key]
    if place == ("components", "order"):
        inner.pop(last)
    else:
        inner[last] = value
    with pytest.raises(BadTarget, match="damaged"):
        Adjustment.from_state(state)


def test_too_few_people_and_columns_that_are_not_there_are_told() -> None:
    X, _ = cohort()
    with pytest.raises(BadTarget, match="2 components need 50 unrelated patients"):
        fitted(plan(), X[:49])
    scoreless = X[:80].with_columns(genetic_two=pl.when(pl.int_range(pl.len()) < 40).then("genetic_two"))
    with pytest.raises(BadTarget, match="needs 50 patients with a score"):
        fitted(plan(), scoreless)
    with pytest.raises(BadTarget, match="uses no column of a score"):
        Adjustment.fit(X[:80], plan(), columns=["clinical_age"])
    with pytest.raises(BadTarget, match="lack columns that the model uses: genetic_variants"):
        fitted(plan(), X[:80].drop("genetic_variants"))
    with pytest.raises(BadTarget, match="names genetic_three, which the learner does not use"):
        fitted(plan(scores=("genetic_three",)), X)
    with pytest.raises(BadTarget, match="genetic_component_1 stand among the columns already"):
        fitted(plan(as_predictors=True), X.with_columns(genetic_component_1=pl.lit(1.0)))
    strange = genotype_column("genetic_variants", drifted(5, 800, 1, 0.1, seed=1).copies, b"elsewher")
    made = fitted(plan())
    with pytest.raises(BadTarget, match="of other variants"):
        made.transform(X[:5].with_columns(strange))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "nothing is asked for"),
        ({"frequencies": FrequencyPlan(())}, "name the columns of one or more scores"),
        ({"frequencies": FrequencyPlan(("a",), "median")}, "'median' is not understood"),
        ({"components": ComponentPlan(0)}, "give 1 to 40 components"),
        ({"components": ComponentPlan(as_predictors=False)}, "nothing uses them"),
        ({"ancestry": AncestryPlan()}, "no components to regress on"),
        (
            {"ancestry": AncestryPlan(projected=2), "components": ComponentPlan(as_predictors=True)},
            "fitted in the fold already",
        ),
        ({"ancestry": AncestryPlan(projected=99)}, "give 1 to 40 components"),
        (
            {"ancestry": AncestryPlan(()), "components": ComponentPlan(as_predictors=True)},
            "each once, or null for all",
        ),
    ],
)
def test_plans_that_cannot_be_carried_out_are_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadTarget, match=sentence):
        GeneticPlan(**asked)


def test_plans_are_stored_and_cut_to_columns() -> None:
    whole = AdjustmentPlan(
        genetics=GeneticPlan(
            FrequencyPlan(("genetic_one", "genetic_two"), "hardy_weinberg"),
            ComponentPlan(3, True, families="genetic_family"),
            AncestryPlan(None, "mean", True),
        )
    )
    assert AdjustmentPlan.from_json(whole.to_json()) == whole
    before = {key: value for key, value in AdjustmentPlan().to_json().items() if key != "genetics"}
    assert AdjustmentPlan.from_json(before) == AdjustmentPlan()
    assert whole.context == (
        "genetic_family",
        "genetic_genotypes",
        "genetic_one_missing",
        "genetic_two_missing",
        "genetic_variants",
    )
    assert "genetic_family" not in whole.places
    assert whole.genetics is not None
    cut = whole.genetics.concerning(["genetic_two", "clinical_age"])
    assert cut == GeneticPlan(
        FrequencyPlan(("genetic_two",), "hardy_weinberg"),
        ComponentPlan(3, False, families="genetic_family"),
        AncestryPlan(("genetic_two",), "mean"),
    )
    assert cut is not None
    assert cut.further(["genetic_two"]) == ()
    assert whole.genetics.concerning(["clinical_age"]) is None
