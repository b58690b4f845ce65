"""Who is stratified, and by what: refused at once where nothing could be tested of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.stratification.course import CoursePlan
from experiments.stratification.families import families_of
from pipeline.errors import BadInput
from pipeline.settings.study import Study
from pipeline.stages import stratify
from pipeline.strata_course import counted_out
from pipeline.strata_inputs import Assembled, feature_patients, read_assembled
from tests.pipeline.test_strata_stage import MADE, study, write_cohort

Cohort = tuple[Study, Assembled]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    place = tmp_path_factory.mktemp("cohort")
    write_cohort(place)
    return study(), read_assembled(place / "assembled")


def test_columns_that_tell_few_kinds_of_patients_apart_are_refused_before_anything_is_searched(
    cohort: Cohort,
) -> None:
    asked, files = cohort
    few = [(pl.col(name) > 0).cast(pl.Float64).alias(name) for name in MADE[:3]]
    words = [
        pl.when(pl.col(name) > 0).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name) for name in MADE[3:]
    ]
    coarse = replace(files, frame=files.frame.with_columns(*few, *words))
    with pytest.raises(BadInput, match="planted: none of its 5 columns is a number with 10 or more distinct"):
        feature_patients(asked, "planted", coarse)
    one_number = replace(coarse, frame=coarse.frame.with_columns(files.frame[MADE[0]]))
    steps = [(pl.col(name) * 2).round().clip(-4, 4).alias(name) for name in MADE[:3]]
    answers = replace(coarse, frame=coarse.frame.with_columns(files.frame.select(steps)))
    for enough in (one_number, answers):
        assert feature_patients(asked, "planted", enough).X.width == len(MADE)


def test_nothing_is_written_where_the_stage_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cohort(tmp_path)
    matrix = tmp_path / "assembled" / "matrix.parquet"
    frame = pl.read_parquet(matrix)
    frame.with_columns(pl.lit(1.0).alias(name) for name in MADE).write_parquet(matrix)
    monkeypatch.setattr(stratify, "load_parameters", study)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="fewer than 40 kinds of patients apart"):
        stratify.run(
            "planted",
            assembled=tmp_path / "assembled",
            tables=tmp_path / "tables",
            journals=tmp_path / "journals",
            out=tmp_path / "out",
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_tell_the_search_who_is_related(cohort: Cohort) -> None:
    asked, files = cohort
    assert families_of(feature_patients(asked, "planted", files).rows) is None
    position = pl.col("position")
    related = files.rows.with_columns(family=pl.when(position < 4).then(0))
    one_person = files.rows.with_columns(position=pl.when(position == 9).then(8).otherwise(position))
    for rows, units in ((related, files.rows.height - 3), (one_person, files.rows.height - 1)):
        found = families_of(feature_patients(asked, "planted", replace(files, rows=rows)).rows)
        assert found is not None
        assert len(set(found.tolist())) == units


@pytest.mark.parametrize(
    ("out", "of", "fewest", "said"),
    [
        (10, 100, 11, "Fewer than 11 patients"),
        (15, 100, 11, "15 % of the patients"),
        (15, 100, 20, "Fewer than 20 patients"),
        (85, 100, 20, "All but a few patients"),
        (85, 100, 11, "85 % of the patients"),
    ],
)
def test_who_is_counted_out_is_told_in_no_share_that_a_study_suppresses(
    out: int, of: int, fewest: int, said: str
) -> None:
    kept = np.arange(of) >= out
    (sentence,) = counted_out(kept, CoursePlan(("gaf",)), fewest)
    assert sentence == f"{said} do not have 2 values of every variable and take no part."
