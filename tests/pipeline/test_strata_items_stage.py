"""Classes of symptoms through the stages: found without any column that is a density, related to an outcome, told on the card."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.stratification import schemas
from features.schema import ColumnDescriptions
from pipeline.files import read_json, read_table, write_frame, write_table
from tests.pipeline.test_strata_stage import MADE, PATIENTS, run_stages, study, write_cohort

ITEMS = [f"metabolic_symptom_{place:02}" for place in range(16)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    place = tmp_path_factory.mktemp("symptoms")
    truth = write_cohort(place)
    matrix = place / "assembled" / "matrix.parquet"
    frame, columns = pl.read_parquet(matrix).drop(MADE), place / "assembled" / "columns.parquet"
    draws = np.random.default_rng(8)
    frequent = (np.arange(16) < 8) == (truth["truth"].to_numpy()[:, None] == 1)
    there = draws.random((PATIENTS, 16)) < np.where(frequent, 0.85, 0.12)
    symptoms = pl.DataFrame(there.astype(float), schema=ITEMS)
    words = [
        pl.when(pl.col(name) > 0).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name)
        for name in ITEMS[::2]
    ]
    write_frame(pl.concat([frame, symptoms.with_columns(words)], how="horizontal"), matrix)
    described = read_table(columns, ColumnDescriptions)
    own = described.filter(pl.col("column") == MADE[0])
    items = pl.concat(
        own.with_columns(
            column=pl.lit(name),
            kind=pl.lit("category" if name in ITEMS[::2] else "number"),
            description=pl.lit(f"symptom {name}"),
        ).cast(described.schema)
        for name in ITEMS
    )
    told = pl.concat([described.filter(~pl.col("column").is_in(MADE)), items])
    write_table(ColumnDescriptions.validate(told), columns, ColumnDescriptions)
    chosen = study(columns=ITEMS, most_strata=2)
    run_stages(place, chosen)
    return place, truth


def test_classes_of_symptoms_are_claimed_and_replicated(written: tuple[Path, pl.DataFrame]) -> None:
    place, truth = written
    summary = read_json(place / "strata_outcomes" / "planted" / "summary.json")
    assert summary["claimed"], summary["tests"]
    assert summary["k"] == 2
    strata = read_table(place / "strata" / "planted" / "strata.parquet", schemas.Strata)
    joined = truth.join(strata, on="prediction_id", validate="1:1")
    agreement = float(joined.select((pl.col("stratum") - 1 == pl.col("truth")).mean()).item())
    assert max(agreement, 1 - agreement) > 0.95


def test_dimensions_and_profiles_are_of_every_symptom(written: tuple[Path, pl.DataFrame]) -> None:
    place, _ = written
    folder = place / "strata" / "planted"
    loadings = read_table(folder / "loadings.parquet", schemas.Loadings)
    assert set(loadings["column"]) == set(ITEMS)
    leading = loadings.filter(pl.col("dimension") == 1).sort("column")["loading"].to_numpy()
    assert (np.sign(leading[:8]) == -np.sign(leading[8:])).all()
    assert np.abs(leading).min() > 0.3
    assert read_json(folder / "summary.json")["columns_used"] == ITEMS


def test_the_card_tells_symptoms_and_no_patient(written: tuple[Path, pl.DataFrame]) -> None:
    place, truth = written
    text = (place / "strata_cards" / "planted" / "card.html").read_text(encoding="utf-8")
    assert "2 strata" in text
    assert "symptom_03" in text
    assert not [name for name in truth["prediction_id"] if name in text]
