"""The explain stage uses a stored model only when it is the one that was trained."""

import json
from pathlib import Path

import polars as pl
import pytest

from models.registry import LEARNERS
from models.storage import fingerprint, write_parts
from models.target import Target
from pipeline.errors import BadInput
from pipeline.stages.explain import _tasks

X = pl.DataFrame({"clinical_gaf": [float(i % 7) for i in range(60)]})
LABELS = [int(i % 7 < 3) for i in range(60)]
TEST = X.with_columns(
    place=pl.int_range(60), position=pl.int_range(60), prediction_id=pl.int_range(60).cast(pl.String)
)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    learner = LEARNERS["elastic_net"].build({}, predictors=("clinical_gaf",), seed=1)
    parts = learner.fit(X, Target.from_labels(LABELS)).to_parts()
    write_parts(parts, tmp_path / "models" / "random_0_0")
    (tmp_path / "final.json").write_text(json.dumps({"outer_models": {"random_0_0": fingerprint(parts)}}))
    return tmp_path


def test_the_trained_model_is_used(train: Path) -> None:
    (task,) = _tasks(train, [("random_0_0", TEST)])
    assert (
        fingerprint(task.parts)
        == json.loads((train / "final.json").read_text())["outer_models"]["random_0_0"]
    )


def test_a_model_changed_after_training_is_refused(train: Path) -> None:
    for path in (train / "models" / "random_0_0").iterdir():
        path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(BadInput, match="random_0_0 is not the model that was trained"):
        _tasks(train, [("random_0_0", TEST)])
