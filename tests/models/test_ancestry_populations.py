"""Reference populations: who is near to which, who to none, and the same answer alone as in a batch."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from models.ancestry.populations import NOT_ASSIGNED, OUTLIERS, ReferencePopulations
from models.errors import BadTarget

Floats = NDArray[np.float64]
CENTRES = {"north": (0.0, 0.0, 0.0), "south": (4.0, 0.0, 1.0), "west": (0.0, 5.0, -2.0)}
SPREAD = np.array([0.3, 0.5, 0.2])


def panel(people: int, seed: int) -> tuple[Floats, list[str]]:
    draws = np.random.default_rng(seed)
    labels = [name for name in CENTRES for _ in range(people)]
    return np.array([CENTRES[name] for name in labels]) + draws.normal(size=(len(labels), 3)) * SPREAD, labels


@pytest.fixture(scope="module")
def reference() -> ReferencePopulations:
    return ReferencePopulations.fit(*panel(60, 1))


def test_new_people_of_a_population_are_assigned_to_it(reference: ReferencePopulations) -> None:
    scores, labels = panel(4000, 2)
    found = reference.assign(scores)
    assert all(a in {b, NOT_ASSIGNED} for a, b in zip(found.population, labels, strict=True))
    assert found.nearest == tuple(labels)
    share = found.population.count(NOT_ASSIGNED) / len(labels)
    assert OUTLIERS / 4 < share < 4 * OUTLIERS
    large = ReferencePopulations.fit(*panel(600, 3)).assign(scores)
    np.testing.assert_allclose((large.distance**2).mean(), 3, rtol=0.05)


def test_whoever_lies_far_or_between_is_not_assigned(reference: ReferencePopulations) -> None:
    between = (np.array(CENTRES["north"]) + np.array(CENTRES["south"])) / 2
    found = reference.assign(np.array([between, [40.0, 40.0, 40.0], [np.nan, 0, 0], CENTRES["west"]]))
    assert found.population == (NOT_ASSIGNED, NOT_ASSIGNED, NOT_ASSIGNED, "west")
    assert found.nearest[2] is None
    assert np.isnan(found.distance[2])
    assert np.isnan(found.probability[2])
    assert found.distance[1] > 50
    close = ReferencePopulations.fit(_noise(180), panel(60, 3)[1])  # three populations that do not differ
    unsure = close.assign(np.zeros((1, 3)))
    assert unsure.population == (NOT_ASSIGNED,)
    assert unsure.probability[0] < 0.9


def _noise(people: int) -> Floats:
    return np.asarray(np.random.default_rng(4).normal(size=(people, 3)) * SPREAD)


def test_an_assignment_depends_on_the_person_and_the_panel_alone(reference: ReferencePopulations) -> None:
    scores, _ = panel(30, 5)
    together = reference.assign(scores)
    for person in (0, 40, 89):
        alone = reference.assign(scores[[person]])
        assert alone.population[0] == together.population[person]
        assert alone.probability.tobytes() == together.probability[person].tobytes()
        assert alone.distance.tobytes() == together.distance[person].tobytes()


def test_unit_and_order_of_components_change_no_assignment(reference: ReferencePopulations) -> None:
    scores, labels = panel(60, 1)
    new = panel(200, 6)[0]
    other = ReferencePopulations.fit(scores[:, ::-1] * 1e-3, labels).assign(new[:, ::-1] * 1e-3)
    assert other.population == reference.assign(new).population
    np.testing.assert_allclose(other.distance, reference.assign(new).distance, rtol=1e-8)


def test_a_small_population_borrows_from_the_others() -> None:
    scores, labels = panel(60, 7)
    kept = np.array([name != "west" or place % 60 < 11 for place, name in enumerate(labels)])
    small = ReferencePopulations.fit(
        scores[kept], [name for name, one in zip(labels, kept, strict=True) if one]
    )
    assert small.people == (60, 60, 11)
    draws = np.random.default_rng(8).normal(size=(3000, 3)) * SPREAD + CENTRES["west"]
    assert small.assign(draws).population.count("west") > 0.98 * 3000


def test_states_come_back_and_damaged_ones_are_refused(reference: ReferencePopulations) -> None:
    state = json.loads(json.dumps(reference.to_state()))
    scores, _ = panel(20, 9)
    again = ReferencePopulations.from_state(state).assign(scores)
    assert again.distance.tobytes() == reference.assign(scores).distance.tobytes()
    for damaged in (
        state | {"people": [1]},
        state | {"covariances": state["means"]},
        state | {"means": [["x"]]},
        {key: value for key, value in state.items() if key != "names"},
    ):
        with pytest.raises(BadTarget, match="damaged"):
            ReferencePopulations.from_state(damaged)


def test_what_cannot_be_fitted_is_said() -> None:
    scores, labels = panel(12, 10)
    with pytest.raises(BadTarget, match="north has fewer than 11 people"):
        ReferencePopulations.fit(scores[2:], labels[2:])
    with pytest.raises(BadTarget, match="none of them 'not assigned'"):
        ReferencePopulations.fit(scores, [NOT_ASSIGNED if name == "west" else name for name in labels])
    with pytest.raises(BadTarget, match="does not vary"):
        ReferencePopulations.fit(scores * [1.0, 1.0, 0.0], labels)
