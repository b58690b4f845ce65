"""Planted strata through the stages: found, related to an outcome, told on the card, tracked; nothing row-level leaves."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.strata_contents import legal_name, strata_contents
from experiments.stratification import schemas
from features.schema import TABLES, ColumnDescriptions, Outcomes, PredictionTimes, Rows
from models.strata_model import StrataModel
from pipeline.errors import BadSettings
from pipeline.files import read_json, read_table, write_frame, write_json, write_table
from pipeline.settings.load import check_study
from pipeline.settings.study import Study
from pipeline.stages import strata_card, strata_outcomes, stratify
from pipeline.tracked import described
from tests.workplace import demo_study

PATIENTS = 240
MADE = tuple(f"metabolic_{name}" for name in ("first", "second", "third", "fourth", "fifth"))
STAGES = (stratify, strata_outcomes, strata_card)


def study(**changes: Any) -> Study:
    asked: dict[str, Any] = {
        "title": "Planted strata",
        "index": "baseline",
        "feature_sets": ["metabolic"],
        "columns": list(MADE),
        "clusterer": "k_means",
        "most_strata": 3,
        "one_group": {"draws": 19},
        "number": {"splits": 2, "resamples": 20},
        "stability": {"bootstraps": 10},
        "replication": {"fewest": 60},
        "value": {"outcomes": ["relapse_1y"], "held_out": ["clinical_gaf"], "covariates": ["clinical_age"]},
        "panel": {"most": 2, "folds": 2},
        "compare_with": ["context_network"],
        **changes,
    }
    values = demo_study("demo", disclosure={"level": "restricted"}, stratifications={"planted": asked})
    values["compute"] = {"engine": "serial"}
    return check_study(values, Path("study.yaml"))


def write_cohort(place: Path) -> pl.DataFrame:
    """Write assembled files, tables and an outcome of two groups eight standard deviations apart; return the truth."""
    draw = np.random.default_rng(5)
    truth = draw.permutation(np.arange(PATIENTS) % 2)
    ids = [f"baseline-{number:04d}-1" for number in draw.permutation(PATIENTS)]
    centre = draw.integers(0, 6, PATIENTS)
    rows = pl.DataFrame(
        {
            "prediction_id": ids,
            "index_rule": ["baseline"] * PATIENTS,
            "patient_id": [f"person-{name}" for name in ids],
            "position": range(PATIENTS),
            "family": [None] * PATIENTS,
            "number": [1] * PATIENTS,
            "time": [100.0] * PATIENTS,
            "country": np.where(centre < 3, "FR", "DE"),
            "centre": [f"centre_{code}" for code in centre],
            "network": draw.choice(["bipolar", "schizophrenia"], PATIENTS),
            "sex": draw.choice(["female", "male"], PATIENTS),
            "age_band": ["25-34"] * PATIENTS,
            "education": [None] * PATIENTS,
        }
    )
    write_table(Rows.validate(rows, cast=True), place / "assembled" / "rows.parquet", Rows)
    values = draw.normal(size=(PATIENTS, 5)) + np.outer(truth, [5.6, 5.6, 0.0, 0.0, 0.0])
    matrix = pl.DataFrame({"prediction_id": ids, **dict(zip(MADE, values.T, strict=True))}).with_columns(
        clinical_age=pl.Series(draw.normal(40, 10, PATIENTS)),
        clinical_gaf=pl.Series(draw.normal(50, 10, PATIENTS) - 8 * truth),
    )
    write_frame(matrix, place / "assembled" / "matrix.parquet")
    context = rows.select(
        "prediction_id", *(pl.col(name).alias(f"context_{name}") for name in ("centre", "country", "network"))
    )
    write_frame(context, place / "assembled" / "context.parquet")
    columns = pl.DataFrame(
        {
            "column": matrix.columns[1:],
            "feature_set": [name.split("_")[0] for name in matrix.columns[1:]],
            "kind": ["number"] * 7,
            "description": [f"the {name.replace('_', ' ')} of the test" for name in matrix.columns[1:]],
            "unit": [None] * 7,
            "source": ["simulated"] * 7,
            "role": ["predictor"] * 7,
        },
        schema_overrides={"unit": pl.String},
    )
    write_table(
        ColumnDescriptions.validate(columns, cast=True),
        place / "assembled" / "columns.parquet",
        ColumnDescriptions,
    )
    for name in ("measurements", "medications", "visits", "events"):
        write_table(TABLES[name].create_empty(), place / "tables" / f"{name}.parquet", TABLES[name])
    days = np.minimum(draw.exponential(np.where(truth == 1, 200.0, 900.0)), 700.0)
    write_outcome(place, ids, days)
    return pl.DataFrame({"prediction_id": ids, "truth": truth})


def write_outcome(place: Path, ids: list[str], days: np.ndarray) -> None:
    empty = Outcomes.create_empty()
    known = {
        "prediction_id": pl.Series(ids),
        "patient_id": pl.Series([f"person-{name}" for name in ids]),
        "time": pl.Series(np.ceil(days)),
        "cause": pl.Series((days < 700).astype(np.int64)),
    }
    frame = filled(known, empty.schema, len(ids))
    folder = place / "outcomes" / "relapse_1y"
    write_table(Outcomes.validate(frame, cast=True), folder / "outcomes.parquet", Outcomes)
    given = {
        "prediction_id": pl.Series(ids),
        "patient_id": pl.Series([f"person-{name}" for name in ids]),
        "index_rule": pl.Series(["baseline"] * len(ids)),
        "position": pl.Series(range(len(ids))),
        "number": pl.Series([1] * len(ids)),
        "time": pl.Series([100.0] * len(ids)),
    }
    table = filled(given, PredictionTimes.create_empty().schema, len(ids))
    checked = PredictionTimes.validate(table, cast=True)
    write_table(checked, place / "prediction_times.parquet", PredictionTimes)


def filled(known: dict[str, pl.Series], schema: pl.Schema, rows: int) -> pl.DataFrame:
    """Return a frame of a schema's columns; those that are not known are null."""
    return pl.DataFrame(
        {name: known.get(name, pl.Series(name, [None] * rows, dtype=kind)) for name, kind in schema.items()}
    )


def run_stages(place: Path, chosen: Study) -> None:
    """Stratify, relate to outcomes and write the card of the files that stand in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        for stage in STAGES:
            patch.setattr(stage, "load_parameters", lambda: chosen)
        stratify.run(
            "planted",
            assembled=place / "assembled",
            tables=place / "tables",
            journals=place / "journals",
            out=place / "strata" / "planted",
        )
        strata_outcomes.run(
            "planted",
            assembled=place / "assembled",
            strata=place / "strata",
            outcomes=place / "outcomes",
            tables=place / "tables",
            times=place / "prediction_times.parquet",
            out=place / "strata_outcomes" / "planted",
        )
        write_json({}, place / "tables" / "report.json")
        strata_card.run("planted", workspace=place, out=place / "strata_cards" / "planted")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    place = tmp_path_factory.mktemp("strata")
    truth = write_cohort(place)
    chosen = study()
    run_stages(place, chosen)
    return place, truth


def test_planted_strata_are_claimed_and_every_patient_is_in_the_right_one(
    written: tuple[Path, pl.DataFrame],
) -> None:
    place, truth = written
    summary = read_json(place / "strata_outcomes" / "planted" / "summary.json")
    assert summary["claimed"], summary["tests"]
    assert summary["k"] == 2
    strata = read_table(place / "strata" / "planted" / "strata.parquet", schemas.Strata)
    joined = truth.join(strata, on="prediction_id", validate="1:1")
    agreement = float(joined.select((pl.col("stratum") - 1 == pl.col("truth")).mean()).item())
    assert max(agreement, 1 - agreement) > 0.98  # whatever the order of rows


def test_the_frozen_model_assigns_as_the_stage_did(written: tuple[Path, pl.DataFrame]) -> None:
    place, _ = written
    folder = place / "strata" / "planted"
    model = StrataModel.from_parts({path.name: path.read_bytes() for path in (folder / "model").iterdir()})
    made = pl.read_parquet(folder / "made.parquet")
    strata = read_table(folder / "strata.parquet", schemas.Strata)
    assert made["prediction_id"].to_list() == strata["prediction_id"].to_list()
    assert (model.assign(made) + 1).tolist() == strata["stratum"].to_list()


def test_outcomes_and_held_out_columns_differ_as_planted(written: tuple[Path, pl.DataFrame]) -> None:
    place, truth = written
    folder = place / "strata_outcomes" / "planted"
    strata = read_table(place / "strata" / "planted" / "strata.parquet", schemas.Strata)
    worse = truth.filter(pl.col("truth") == 1).join(strata, on="prediction_id")["stratum"].mode().item()
    risk = pl.read_parquet(folder / "incidence.parquet").filter(
        (pl.col("measure") == "risk") & (pl.col("correction") == "bch")
    )
    by_stratum = dict(risk.select("stratum", "estimate").iter_rows())
    assert by_stratum[worse] > by_stratum[3 - worse] + 0.2  # 0.84 and 0.33 by the exponential's hazards
    held_out = pl.read_parquet(folder / "held_out.parquet").filter(pl.col("correction") == "bch")
    means = dict(held_out.select("stratum", "estimate").iter_rows())
    assert means[worse] == pytest.approx(means[3 - worse] - 8, abs=4)


def test_the_card_tells_the_chain_and_no_patient(written: tuple[Path, pl.DataFrame]) -> None:
    place, truth = written
    for kind in ("html", "md"):
        text = (place / "strata_cards" / "planted" / f"card.{kind}").read_text(encoding="utf-8")
        assert "2 strata" in text
        for asked in (
            "The chain of tests",
            "Outcomes by stratum",
            "Value beyond continuous scores",
            "Limits",
        ):
            assert asked in text
        assert not [name for name in truth["prediction_id"] if name in text]
        assert "<script" not in text


def test_a_tracked_run_holds_every_figure_and_nothing_row_level(written: tuple[Path, pl.DataFrame]) -> None:
    place, truth = written
    parameters = described(study())["stratifications"]["planted"]
    run = strata_contents(place, "planted", study="demo", parameters=parameters)
    assert run.metrics["claimed"] == 1.0
    tests = read_table(place / "strata" / "planted" / "tests.parquet", schemas.Tests)
    told = {
        legal_name(f"{row['test']}.{row['figure']}")
        for row in tests.iter_rows(named=True)
        if row["estimate"] is not None
    }
    assert told <= set(run.metrics)
    assert not {f"tables/{name}.csv" for name in ("strata", "memberships", "dimensions", "made")} & set(
        run.files
    )
    leaked = [
        name
        for name, content in run.files.items()
        if any(patient.encode() in content for patient in truth["prediction_id"])
    ]
    assert leaked == []


def test_an_unknown_stratification_is_answered_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stratify, "load_parameters", study)
    with pytest.raises(BadSettings, match="'other' is not known; known: planted"):
        stratify.run("other", assembled=tmp_path, tables=tmp_path, journals=tmp_path, out=tmp_path / "out")
