"""A bundle of strata: whole or refused, nothing of few patients, one patient as among many."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.bundle.contents import DEFINITION, MANIFEST, README, REFERENCE, content_bytes
from experiments.bundle.packing import open_bundle
from experiments.bundle.strata import StrataReference, open_strata, seal_strata
from experiments.bundle.strata_summaries import (
    assigned_patients,
    carried_strata,
    extent_from,
    share_outside,
    strata_reference,
)
from experiments.bundle.summaries import drift_of
from features.errors import BadInput
from models.strata_model import StrataModel
from tests.experiments.planted_groups import planted, recipe_of
from tests.experiments.small_bundle import definition, small_bundle

ROWS, X, _ = planted(200, 5)
MODEL = StrataModel.fit(X, recipe_of(X), 2, 1)


def reference(smallest_cell: int = 11) -> StrataReference:
    return strata_reference(MODEL, ROWS, X, tuple(X.columns), smallest_cell)


def small_strata(**head: Any) -> dict[str, bytes]:
    files = {
        **{f"model/{name}": content for name, content in MODEL.to_parts().items()},
        DEFINITION: content_bytes(definition(outcome={}, horizons=())),
        REFERENCE: content_bytes(reference()),
        README: b"# Strata\n",
    }
    said: dict[str, Any] = {
        "psystrata": "0.1.0", "study": "mine", "strata": "blood", "clusterer": "k_means", "number": 2, "claimed": True,
        "claim": "2 strata", "tests": [{"test": "one_group", "status": "passed", "reason": "Deep valleys."}],
        "model": "0" * 64, "choices": {"sections": {}, "data": "", "lock": "", "commit": ""},
    }  # fmt: skip
    return seal_strata(files, {**said, **head})


def test_a_bundle_of_strata_comes_back_and_no_other_command_reads_it() -> None:
    files = small_strata()
    assert small_strata() == files
    found = open_strata(files, "x.zip")
    assert found.reference == reference()
    again = StrataModel.from_parts(found.parts)
    assert (again.assign(X) == MODEL.assign(X)).all()
    with pytest.raises(BadInput, match="is a psystrata bundle of strata: psystrata assign reads it"):
        open_bundle(files, "x.zip")
    with pytest.raises(BadInput, match="is a psystrata bundle: psystrata validate reads it"):
        open_strata(small_bundle(), "x.zip")


FILES = small_strata()


@pytest.mark.parametrize("name", sorted(FILES))
def test_strata_that_were_changed_or_lack_a_file_are_refused(name: str) -> None:
    files = FILES
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        open_strata({**files, name: bytes(content)}, "x.zip")
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        open_strata({key: value for key, value in files.items() if key != name}, "x.zip")


@pytest.mark.parametrize("form", [[], {}, None, 1])
def test_a_format_that_is_no_text_is_refused_in_a_sentence(form: Any) -> None:
    manifest = {**json.loads(FILES[MANIFEST]), "format": form}
    with pytest.raises(BadInput, match=r"manifest\.json of the bundle cannot be used: format"):
        open_strata({**FILES, MANIFEST: json.dumps(manifest).encode()}, "x.zip")


@pytest.mark.parametrize(
    ("key", "value"), [("number", 1), ("strata", "../x"), ("claim", "\x1b[2J"), ("study", "")]
)
def test_a_manifest_that_steers_or_leads_elsewhere_is_not_even_sealed(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=key):
        small_strata(**{key: value})


def test_one_patient_is_assigned_as_among_many_and_the_share_outside_is_as_told() -> None:
    told = reference()
    patients, memberships = assigned_patients(MODEL, told, ROWS, X)
    for place in (0, 17):
        alone, own = assigned_patients(MODEL, told, ROWS[[place]], X[[place]])
        assert alone.equals(patients[[place]])
        assert own.equals(memberships[2 * place : 2 * place + 2])
    assert patients["outside"].mean() == pytest.approx(told.extent.beyond)
    far = X.with_columns(pl.col("x_1") + 40)
    assert assigned_patients(MODEL, told, ROWS, far)[0]["outside"].all()
    assert share_outside(np.ones(200, dtype=bool), 11) == 1
    assert share_outside(np.arange(200) < 5, 11) is None
    assert share_outside(np.arange(200) < 5, 0) == 5 / 200


def test_the_same_patients_give_the_figures_of_the_reference() -> None:
    told = reference()
    patients, _ = assigned_patients(MODEL, told, ROWS, X)
    table = carried_strata(MODEL, told, patients, ROWS, X, smallest_cell=0)
    for name in ("share", "probability", "entropy", "certain", "in_group"):
        here, before = (table[key].fill_null(-1).to_list() for key in (name, f"{name}_reference"))
        assert here == pytest.approx(before, rel=1e-3)
    few = carried_strata(MODEL, told, patients[:12], ROWS[:12], X[:12], smallest_cell=11)
    assert few.filter(pl.col("stratum") > 0)["n"].to_list() == [None, None]
    assert few.filter(pl.col("stratum") > 0)["in_group"].to_list() == [None, None]


def test_a_reference_that_tells_of_a_column_twice_is_refused() -> None:
    told = reference().summaries
    with pytest.raises(BadInput, match="tells of a column twice"):
        drift_of((*told, told[0]), told)
    assert set(drift_of(told, told)["column"]) == set(X.columns)


def test_nothing_is_stored_of_few_patients_and_nothing_fits_another_model() -> None:
    small = StrataModel.fit(X[:25], recipe_of(X), 2, 1)
    alone = np.flatnonzero(small.assign(X[:25]) == 0)[:10]
    part = np.sort(np.concatenate([alone, np.flatnonzero(small.assign(X[:25]) == 1)]))
    with pytest.raises(BadInput, match="fewer than 11 patients"):
        strata_reference(small, ROWS[part], X[part], tuple(X.columns), 11)
    values = json.loads(content_bytes(reference()))
    values["extent"]["centroids"] = [[0.0, 0.0]]
    with pytest.raises(BadInput, match="does not fit its model"):
        extent_from(StrataReference.model_validate(values), MODEL)
