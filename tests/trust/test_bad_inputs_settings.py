"""Bad input 110: settings that say more, less or other than a study can mean."""

from pathlib import Path

import pytest

from pipeline.commands.use import read_study
from pipeline.errors import BadSettings
from pipeline.settings.load import load_parameters, load_study

STUDY = Path("experiments/studies/cnp/study.yaml").read_text(encoding="utf-8")


def _refusal(tmp_path: Path, text: str) -> str:
    (tmp_path / "cnp").mkdir()
    (tmp_path / "cnp/study.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings) as refused:
        load_study(tmp_path / "cnp")
    return str(refused.value)


def test_the_unchanged_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "cnp").mkdir()
    (tmp_path / "cnp/study.yaml").write_text(STUDY, encoding="utf-8")
    assert load_study(tmp_path / "cnp").study == "cnp"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed:", "sed: 1\nseed:", "sed: this key is not known"),
        ("  format: bids", "  format: bids\n  formt: bids", "formt: this key is not known"),
        ("seed:", "seed: 1\nseed:", "the key 'seed' stands twice"),
        (
            "title:",
            "title: !!python/object/apply:os.system [true]\nold:",
            "could not determine a constructor",
        ),
        ("seed: 20161206", "seed: .nan", "seed: Input should be"),
        ("folds: 10", "folds: .inf", "folds: Input should be"),
        ("role: outcome", "role: outcome\n    range: [.nan, 1]", "range.0: Input should be a finite number"),
        ("title:", "a: &x [1]\nb: *x\ntitle:", "aliases are not allowed"),
    ],
)
def test_110_study_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in STUDY
    message = _refusal(tmp_path, STUDY.replace(old, new, 1))
    assert said in message
    assert "study.yaml" in message
    assert "Mend" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: a\nstudy: b\n", "the key 'study' stands twice"),
        ("study: !!python/name:os.system\n", "could not determine a constructor"),
        ("study: a\n", "has no cells"),
        ("- a\n", "must hold keys and values"),
        ("? [a, b]\n: 1\n", "a key must be a word"),
        ("? {a: b}\n: 1\n", "a key must be a word"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_110_params_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=said):
        load_parameters(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed=[1", "line 1"),
        ("seed=!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("seed.x=1", "seed has no keys of its own"),
        ("dictionary.diagnosis.range=[5, 1]", "the lower end must be below the upper one"),
        ("dictionary.diagnosis.conversions={mg/dL: 0}", "a factor must be above 0"),
    ],
)
def test_110_one_setting_overridden(change: str, said: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_study("cnp", [change])
    assert said in str(refused.value)
