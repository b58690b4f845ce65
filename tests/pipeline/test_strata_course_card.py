"""The card's section of mean courses: how well columns are measured, and what drop-out changes."""

from pathlib import Path

import polars as pl

from experiments.stratification.schemas import DropoutComparison
from pipeline.cards.strata_course import course_section
from pipeline.files import write_table

RELIABILITY = {"course_madrs_level": 0.95, "course_madrs_change": 0.4, "course_gaf_level": 0.0}


def compared() -> pl.DataFrame:
    rows = [
        {
            "modelled": modelled,
            "stratum": stratum,
            "variable": "madrs",
            "years": years,
            "share": 1.0 if stratum == 0 else 0.6 if (stratum == 1) == modelled else 0.4,
            "mean": 20.0 + stratum + (years if modelled else -years),
        }
        for modelled in (True, False)
        for stratum in (0, 1, 2)
        for years in (0.0, 1.0, 2.0)
    ]
    return pl.DataFrame(rows)


def test_strata_of_features_have_no_course(tmp_path: Path) -> None:
    assert course_section(tmp_path, {"kind": "features"}) is None


def test_columns_are_told_by_how_well_they_are_measured(tmp_path: Path) -> None:
    section = course_section(tmp_path, {"kind": "course", "reliability": RELIABILITY})
    assert section is not None
    ((_, rows),) = section.tables
    told = {row["column"]: row["meaning"] for row in rows}
    assert told["course madrs level"] == "measured"
    assert told["course madrs change"] == "mostly noise"
    assert "divides nobody" in told["course gaf level"]


def test_both_models_of_drop_out_stand_side_by_side(tmp_path: Path) -> None:
    write_table(compared(), tmp_path / "dropout_comparison.parquet", DropoutComparison)
    section = course_section(tmp_path, {"kind": "course", "reliability": RELIABILITY})
    assert section is not None
    rows = section.tables[1][1]
    assert [row["stratum"] for row in rows] == ["all patients"] * 2 + ["1"] * 2 + ["2"] * 2
    assert [row["drop-out"] for row in rows] == ["modelled", "ignored"] * 3
    assert (rows[0]["madrs, year 0"], rows[0]["madrs, year 2"]) == ("20.0", "22.0")
    assert rows[1]["madrs, year 2"] == "18.0"
    assert rows[3]["share"] == "40 %"
