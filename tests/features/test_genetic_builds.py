"""A score in another genome build than the genotypes is named with what tells so; the match log names every row."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import BadInput
from features.genetics.builds import (
    CHROMOSOME_LENGTHS,
    CHROMOSOMES,
    GRCH37,
    GRCH38,
    build_by_length,
    build_mismatch,
    build_name,
    declared_wrongly,
)
from features.genetics.inputs import GeneticInputs, match_scores
from features.genetics.match_log import MATCH_LOG, match_log
from features.genetics.matching import match_variants
from features.genetics.scoring_files import read_scoring_file
from features.genetics.settings import GeneticSettings
from tests.features.genotypes_in_memory import GenotypesInMemory
from tests.features.matching_frames import Held, Row, held_variants, score_of

ROWS: list[Row] = [("1", 1000 * n, "A", "G") for n in range(1, 11)]
HELD: list[Held] = [("1", 1000 * n, "A", "G") for n in range(1, 11)]
IDS = [f"rs{n}" for n in range(10)]
ELSEWHERE = held_variants([(c, p + 7, a1, a2) for c, p, a1, a2 in HELD], IDS)


@pytest.mark.parametrize(
    ("written", "build"),
    [
        ("GRCh37", GRCH37),
        ("hg19", GRCH37),
        ("b37", GRCH37),
        ("GRCh38.p13", GRCH38),
        ("hg38", GRCH38),
        ("hg18", "NCBI36"),
        ("NR", None),
        ("not stated", None),
        (None, None),
    ],
)
def test_names_of_builds(written: str | None, build: str | None) -> None:
    assert build_name(written) == build


def test_the_builds_differ_on_every_chromosome() -> None:
    assert all(len(lengths) == len(CHROMOSOMES) for lengths in CHROMOSOME_LENGTHS.values())
    for chromosome, old, new in zip(CHROMOSOMES, *CHROMOSOME_LENGTHS.values(), strict=True):
        ends = pl.DataFrame({"chromosome": [chromosome] * 2, "position": [old, new]})
        assert build_by_length(ends) == (GRCH37 if old > new else GRCH38)
        assert build_by_length(ends.filter(pl.col("position") == min(old, new))) is None


def test_a_build_that_the_positions_contradict_is_told() -> None:
    last = CHROMOSOME_LENGTHS[GRCH37][21]
    old = pl.DataFrame({"chromosome": ["22"], "position": [last]})
    told = declared_wrongly(old, GRCH38)
    assert told is not None
    assert "in GRCh37" in told
    assert declared_wrongly(old, GRCH37) is None
    assert declared_wrongly(old, None) is None
    assert declared_wrongly(old.with_columns(position=pl.lit(1000)), GRCH38) is None
    places = pl.concat([old, old]).with_columns(a1=pl.lit("A"), a2=pl.lit("G"))
    inputs = GeneticInputs((GenotypesInMemory(np.zeros((3, 2)), places),), ())
    settings = {"files": ["chip"], "scores": {"x": "x.txt"}, "genome_build": GRCH38}
    with pytest.raises(BadInput, match=r"chip: positions lie beyond .* mend genome_build"):
        match_scores(inputs, GeneticSettings.from_study(settings))


@pytest.mark.parametrize(("declared", "held"), [("GRCh38", GRCH37), ("hg19", GRCH38), ("hg18", GRCH37)])
def test_declared_builds_that_differ(declared: str, held: str) -> None:
    score = score_of(ROWS, header={"genome_build": declared})
    told = build_mismatch(score, held_variants(HELD), held)
    assert told is not None
    assert (
        f"(x.txt) is in {build_name(declared)} (by its header), the genotypes are in {held} (as declared)"
        in told
    )
    assert f"take the scoring file in {held}" in told
    assert "not lifted over" in told


def test_positions_beyond_the_end_of_a_chromosome() -> None:
    """Chromosome 22 ends at 50,818,468 in GRCh38 and at 51,304,566 in GRCh37, whatever the header says."""
    score = score_of([*ROWS, ("22", 51_000_000, "A", "G")], header={"genome_build": "GRCh38"})
    told = build_mismatch(score, held_variants(HELD), GRCH38)
    assert told is not None
    assert "is in GRCh37 (positions beyond the ends" in told
    assert build_mismatch(score, held_variants([*HELD, ("22", 51_000_000, "A", "G")]), None) is None


@pytest.mark.parametrize(
    ("header", "named"), [("GRCh38", "is in GRCh38"), ("NR", "its header does not state")]
)
def test_rs_numbers_that_stand_elsewhere(header: str, named: str) -> None:
    told = build_mismatch(score_of(ROWS, ids=IDS, header={"genome_build": header}), ELSEWHERE, None)
    assert told is not None
    assert named in told
    assert "10 of 10 rs numbers that both hold stand at other positions" in told


def test_original_positions_that_fit_where_the_harmonised_ones_do_not() -> None:
    original = pl.DataFrame(
        {"line": range(10), "chromosome": "1", "position": [p + 7 for _, p, _, _ in HELD]}
    )
    header = {"genome_build": "GRCh37", "HmPOS_build": "GRCh38"}
    told = build_mismatch(score_of(ROWS, header=header, original=original), ELSEWHERE, None)
    assert told is not None
    assert (
        "is in GRCh38, the genotypes are in GRCh37: 10 of its 10 original positions are theirs, but 0" in told
    )


@pytest.mark.parametrize("held", [None, GRCH37])
def test_nothing_is_said_where_nothing_tells(held: str | None) -> None:
    """The same build, no shared ids, fewer ids than tell anything, ids alone."""
    for score in (
        score_of(ROWS, ids=IDS, header={"genome_build": "hg19"}),
        score_of(ROWS),
        score_of([(None, None, "A", "G")], ids=["rs1"], header={"genome_build": "GRCh38"}),
    ):
        assert build_mismatch(score, held_variants(HELD, IDS), held) is None
    few = score_of(ROWS[:4], ids=IDS[:4])
    assert build_mismatch(few, ELSEWHERE, held) is None


@pytest.mark.real_data
def test_published_scores_in_both_builds() -> None:
    """Each harmonised file fits genotypes of its own build, and is named where the other build's are given."""
    folder = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes"
    if "PSYSTRATA_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes")
    scores = {
        build: read_scoring_file(
            folder / "scorefiles" / f"PGS000001_hmPOS_{build}.txt", name="x", shown=build
        )
        for build in (GRCH37, GRCH38)
    }
    for ours, theirs in ((GRCH37, GRCH38), (GRCH38, GRCH37)):
        rows = scores[theirs].variants.drop_nulls("position")
        held = held_variants(
            [
                (c, p, e, o or ".")
                for c, p, e, o in rows.select("chromosome", "position", "effect", "other").rows()
            ],
            rows["id"].to_list(),
        )
        told = build_mismatch(scores[ours], held, None)
        assert told is not None
        assert f"is in {ours}, the genotypes are not, most likely in {theirs}" in told
        assert build_mismatch(scores[theirs], held, theirs) is None
        custom = read_scoring_file(folder / "cineca" / f"custom{ours.lower()}.txt", name="x", shown="custom")
        assert f"is in {ours} (by its header), the genotypes are in {theirs}" in str(
            build_mismatch(custom, held, theirs)
        )


class Chip:
    """The part of a genotype file that the match log reads."""

    name = "chip"
    variants = held_variants([("1", 5, "A", "G"), ("1", 6, "C", "T")], ["rs5", None])


def test_the_match_log_names_every_row() -> None:
    rows: list[Row] = [("1", 6, "T", "C"), ("1", 7, "A", "G"), ("1", 5, "T", "C")]
    score = score_of(rows, weights=[1.0, 2.0, 3.0])
    log = match_log(score, match_variants(score, Chip.variants, palindromic="drop"), Chip())  # type: ignore[arg-type]
    assert dict(log.schema) == MATCH_LOG
    assert log.drop("score", "file", "chromosome", "effect", "other").rows() == [
        (2, 6, 1.0, "1:6:C:T", "matched_flipped"),
        (3, 7, 2.0, None, "absent"),
        (4, 5, 3.0, "rs5", "matched_strand"),
    ]
    assert log.select("score", "file").unique().rows() == [("x", "chip")]
