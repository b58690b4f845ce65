from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from experiments.seeds import seed_for
from experiments.validation.tuning import TrialRecord, chosen, tune
from features.errors import BadInput
from models.contract import LearnerKind, Trial


def space(trial: Trial) -> dict[str, Any]:
    return {
        "x": trial.suggest_float("x", -1.0, 1.0),
        "rate": trial.suggest_float("rate", 1e-3, 1.0, log=True),
        "leaves": trial.suggest_int("leaves", 2, 15),
        "shape": trial.suggest_categorical("shape", ["a", "b"]),
    }


def _unused(*_: Any, **__: Any) -> Any:
    raise AssertionError("tuning never builds a learner itself")


KIND = LearnerKind(
    build=_unused,
    space=space,
    load=_unused,
    description="",
    defaults={"x": 0.5, "rate": 0.1, "leaves": 7, "shape": "b", "rounds": 100},
)
TRIALS, FOLDS = 14, 3


def loss(parameters: Mapping[str, Any], fold: int) -> float:
    """Best at x = 0.2, leaves = 5; the folds agree but for a little."""
    return float((parameters["x"] - 0.2) ** 2 + 0.01 * abs(parameters["leaves"] - 5) + 0.001 * fold)


def search(
    journal: Path | None = None,
    trials: int = TRIALS,
    fixed: Mapping[str, Any] | None = None,
    loss: Callable[[Mapping[str, Any], int], float] = loss,
) -> list[TrialRecord]:
    return tune(
        KIND,
        loss,
        inner_folds=FOLDS,
        trials=trials,
        fixed=fixed or {},
        seed_of=lambda trial: seed_for(11, "trial", trial),
        journal=journal,
    )


class Interrupting:
    """The loss, until its n-th call."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, parameters: Mapping[str, Any], fold: int) -> float:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return loss(parameters, fold)


WHOLE = search()


def test_the_first_trial_is_the_defaults() -> None:
    assert WHOLE[0].parameters == dict(KIND.defaults)


def test_the_search_finds_what_is_planted() -> None:
    best = chosen(search(trials=40)).parameters
    assert abs(best["x"] - 0.2) < 0.1


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 11, 20, 30])
def test_a_search_interrupted_and_resumed_is_the_uninterrupted_one(tmp_path: Path, after: int) -> None:
    journal = tmp_path / "fold.log"
    with pytest.raises(KeyboardInterrupt):
        search(journal, loss=Interrupting(after))
    assert search(journal) == WHOLE


def test_a_search_interrupted_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    journal, interruptions = tmp_path / "fold.log", 0
    while True:
        try:
            records = search(journal, loss=Interrupting(4))
            break
        except KeyboardInterrupt:
            interruptions += 1
    assert records == WHOLE
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    states = [
        trial.state.name
        for trial in optuna.load_study(
            study_name=None, storage=optuna.storages.JournalStorage(backend)
        ).trials
    ]
    assert states.count("FAIL") == interruptions > 2
    assert states.count("COMPLETE") + states.count("PRUNED") == TRIALS
    assert "RUNNING" not in states


def test_a_journal_cut_at_any_byte_resumes(tmp_path: Path) -> None:
    journal = tmp_path / "fold.log"
    search(journal)
    content = journal.read_bytes()
    for size in range(0, len(content), len(content) // 25):
        journal.write_bytes(content[:size])
        assert search(journal) == WHOLE


def test_a_journal_and_memory_give_the_same_trials(tmp_path: Path) -> None:
    assert search(tmp_path / "fold.log") == WHOLE == search()


def test_a_longer_search_goes_on_from_a_shorter_and_a_shorter_uses_its_first_trials(tmp_path: Path) -> None:
    journal = tmp_path / "fold.log"
    assert search(journal, trials=5) == WHOLE[:5]
    assert search(journal, loss=Interrupting((TRIALS - 5) * FOLDS)) == WHOLE
    assert search(journal, trials=5, loss=Interrupting(0)) == WHOLE[:5]


def test_clearly_worse_trials_are_stopped_after_an_inner_fold_and_never_chosen() -> None:
    calls: list[float] = []

    def counted(parameters: Mapping[str, Any], fold: int) -> float:
        calls.append(parameters["x"])
        return loss(parameters, fold)

    records = search(trials=30, loss=counted)
    pruned = [record for record in records if record.state == "pruned"]
    assert pruned
    assert all(record.score is None for record in pruned)
    assert len(calls) < 30 * FOLDS
    assert chosen(records).score == min(record.score for record in records if record.score is not None)


def test_fixed_parameters_are_not_tuned() -> None:
    records = search(fixed={"x": -0.75, "rounds": 50})
    assert {(record.parameters["x"], record.parameters["rounds"]) for record in records} == {(-0.75, 50)}
    assert len({record.parameters["leaves"] for record in records}) > 1


def test_with_everything_fixed_there_is_one_trial() -> None:
    fixed = {"x": 0.0, "rate": 0.1, "leaves": 3, "shape": "a"}
    assert [record.parameters for record in search(fixed=fixed)] == [{**fixed, "rounds": 100}]


def test_a_journal_in_use_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "fold.log"

    def second_run(parameters: Mapping[str, Any], fold: int) -> float:
        with pytest.raises(BadInput, match="another run tunes this cell"):
            search(journal)
        return loss(parameters, fold)

    assert search(journal, trials=1, loss=second_run) == WHOLE[:1]


def test_a_loss_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(BadInput, match="inner fold 1 is not a number"):
        search(loss=lambda parameters, fold: float("nan"))


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "fold.log"
    search(journal, trials=2)
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:3], b"{half", *lines[3:]]))
    with pytest.raises(BadInput, match="is damaged"):
        search(journal)
