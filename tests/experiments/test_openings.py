"""The register of openings: reruns add nothing, other choices do, and nobody can lose count."""

import pytest

from experiments.openings import (
    Opened,
    changed_sections,
    count_openings,
    hashed_choices,
    opening_sentence,
    read_register,
    register_text,
    with_openings,
)
from features.errors import BadInput

CHOICES = hashed_choices({"seed": 1, "learner": {"trials": 8}})


def opened(left_out: str = "DE", **changes: object) -> Opened:
    choices = {**hashed_choices({"seed": 1, "learner": {"trials": 8}, **changes}), "code": "c" * 16}
    return Opened("relapse_1y", "elastic_net", left_out, "compare", choices)


def test_the_same_choices_again_are_the_same_opening() -> None:
    once = with_openings([], [opened(), opened("FR")])
    assert with_openings(once, [opened("FR"), opened()]) == once
    assert [line.ordinal for line in once] == [1, 2]


def test_other_settings_open_again_and_are_counted() -> None:
    register = with_openings([], [opened(), opened("FR")])
    register = with_openings(register, [opened(learner={"trials": 9})])
    register = with_openings(register, [opened(seed=2)])
    de, fr = count_openings(register, "relapse_1y")
    assert (de.left_out, de.openings, de.sets_of_choices) == ("DE", 3, 3)
    assert (fr.left_out, fr.openings, fr.sets_of_choices) == ("FR", 1, 1)
    assert "DE were opened 3 times for elastic_net, under 3 different sets of choices" in opening_sentence(de)
    assert "only the first is a confirmation" in opening_sentence(de)
    assert "opened once for elastic_net, under one set of choices." in opening_sentence(fr)
    assert changed_sections(register, register[0]) is None
    assert changed_sections(register, register[2]) == ["learner"]
    assert changed_sections(register, register[3]) == ["learner", "seed"]


def test_changed_code_opens_again_under_the_same_settings() -> None:
    first = opened()
    again = Opened(first.outcome, first.learner, "DE", "compare", {**first.choices, "code": "d" * 16})
    (count,) = count_openings(with_openings([], [first, again]))
    assert (count.openings, count.sets_of_choices) == (2, 1)
    assert "the code was changed" in opening_sentence(count)


def test_the_register_survives_its_file_byte_for_byte() -> None:
    register = with_openings([], [opened(), opened("FR"), opened(seed=5)])
    text = register_text(register)
    assert read_register(text, "x") == register
    assert register_text(read_register(text, "x")) == text


@pytest.mark.parametrize("spoil", ["cut", "drop", "key", "list"])
def test_a_register_that_was_edited_is_refused_with_its_line(spoil: str) -> None:
    lines = register_text(with_openings([], [opened(), opened("FR")])).splitlines()
    spoilt = {
        "cut": [lines[0], lines[1][:-5]],
        "drop": [lines[1]],
        "key": [lines[0], lines[1].replace('"by"', '"why"')],
        "list": [lines[0], "[]"],
    }[spoil]
    with pytest.raises(BadInput, match=rf"openings.jsonl, line {1 if spoil == 'drop' else 2}: "):
        read_register("\n".join(spoilt), "openings.jsonl")


def test_the_order_of_keys_is_no_choice() -> None:
    assert hashed_choices({"b": {"x": 1, "y": 2}, "a": 1}) == hashed_choices({"a": 1, "b": {"y": 2, "x": 1}})
    assert hashed_choices({"a": 1}) != hashed_choices({"a": 2})
