"""What of genotypes may leave the site: no small group, none that follows from others, and figures of told figures alone."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from experiments.figures import svg_text
from experiments.genetics.figures import draw_matches, draw_scores
from experiments.genetics.figures_people import Population, draw_components, draw_relatives, draw_samples
from experiments.genetics.histograms import told_histogram
from experiments.genetics.schemas import ScoreSummary
from experiments.genetics.summary import QUANTILES, score_summary

SMALLEST = 11
VALUES = {("mdd", "raw"): "genetic_mdd", ("mdd", "mean"): "genetic_mdd_ancestry_mean"}


def people(sizes: dict[tuple[str, str], int], *, left_out: dict[str, int] | None = None) -> pl.DataFrame:
    """Patients by network and ancestry, and some without scores by network."""
    rows: list[tuple[str, str | None, bool]] = [
        (network, ancestry, True) for (network, ancestry), n in sizes.items() for _ in range(n)
    ]
    rows += [(network, None, False) for network, n in (left_out or {}).items() for _ in range(n)]
    draw = np.random.default_rng(7).normal(size=(len(rows), 2))
    frame = pl.DataFrame(rows, schema=["network", "ancestry", "kept"], orient="row")
    scores = pl.DataFrame(draw, schema=list(VALUES.values()))
    return pl.concat([frame, scores], how="horizontal").with_columns(
        pl.when("kept").then(pl.col(name)).alias(name) for name in VALUES.values()
    )


def summary(frame: pl.DataFrame, smallest: int = SMALLEST) -> pl.DataFrame:
    return ScoreSummary.validate(score_summary(frame, VALUES, study="s", smallest_cell=smallest))


def test_figures_are_those_of_the_group() -> None:
    frame = people({("FACE", "A"): 60, ("FACE", "B"): 30, ("DZPG", "A"): 50})
    found = summary(frame, 0)
    own = frame.filter((pl.col("network") == "FACE") & (pl.col("ancestry") == "B"))["genetic_mdd"]
    row = found.filter(
        (pl.col("network") == "FACE") & (pl.col("ancestry") == "B") & (pl.col("form") == "raw")
    ).row(0, named=True)
    assert (row["n"], row["mean"], row["sd"]) == (30, pytest.approx(own.mean()), pytest.approx(own.std()))
    assert row["q25"] == pytest.approx(np.quantile(own.to_numpy(), 0.25))
    assert found.filter(pl.col("network").is_null() & pl.col("ancestry").is_null())[
        "n"
    ].unique().to_list() == [140]


def test_no_quantile_is_a_patients_own_score() -> None:
    frame = people({("FACE", "A"): 221}).with_columns(pl.col(name) * 1e-3 for name in VALUES.values())
    exact, rounded = (
        summary(frame, smallest)
        .filter(pl.col("form") == "raw", pl.col("network").is_null())
        .row(0, named=True)
        for smallest in (0, SMALLEST)
    )
    own = set(frame["genetic_mdd"])
    assert exact["q05"] in own  # the twelfth of 221
    spread = exact["sd"]
    for name in ("mean", "sd", *QUANTILES):
        assert rounded[name] not in own
        assert abs(rounded[name] - exact[name]) < 0.01 * spread
        assert len(f"{rounded[name]:.9f}".rstrip("0")) <= len("-0.001234")


def told(found: pl.DataFrame) -> dict[tuple[str | None, str | None], int]:
    """The counts that are published, of one score."""
    rows = found.filter((pl.col("form") == "raw") & pl.col("n").is_not_null())
    return {(row["network"], row["ancestry"]): row["n"] for row in rows.iter_rows(named=True)}


@pytest.mark.parametrize("seed", range(12))
def test_no_small_count_can_be_had_by_subtraction(seed: int) -> None:
    draw = np.random.default_rng(seed)
    networks, ancestries = ("N1", "N2", "N3"), ("A", "B", "C", "D")
    sizes = {(n, a): int(draw.choice([0, 2, 9, 12, 40, 200])) for n in networks for a in ancestries}
    found = told(summary(people(sizes, left_out={n: int(draw.choice([0, 3, 15])) for n in networks})))
    assert all(n >= SMALLEST for n in found.values())
    for network in (None, *networks):  # a network less any of its ancestries, once each
        whole = found.get((network, None))
        own = [found[network, name] for name in ancestries if (network, name) in found]
        if whole is not None:
            rest = whole - sum(own)
            assert rest == 0 or rest >= SMALLEST
    for ancestry in (None, *ancestries):
        whole = found.get((None, ancestry))
        own = [found[name, ancestry] for name in networks if (name, ancestry) in found]
        if whole is not None:
            rest = whole - sum(own)
            assert rest == 0 or rest >= SMALLEST


def test_few_left_out_by_quality_control_do_not_follow_from_the_table() -> None:
    frame = people(
        {("FACE", "A"): 300, ("FACE", "B"): 40, ("DZPG", "A"): 200, ("DZPG", "B"): 30}, left_out={"FACE": 4}
    )
    found = told(summary(frame))
    mapped = frame.height  # published by the account of files
    cells = [found.get((network, name)) for network in ("FACE", "DZPG") for name in ("A", "B")]
    assert (None, None) not in found
    assert None in cells
    for size in (1, 2, 3, 4):
        for chosen in combinations(found.values(), size):
            assert mapped - sum(chosen) != 4


def test_a_hidden_groups_figures_are_hidden_too() -> None:
    found = summary(people({("FACE", "A"): 100, ("FACE", "B"): 5, ("DZPG", "A"): 90, ("DZPG", "B"): 40}))
    hidden = found.filter(pl.col("note").is_not_null())
    assert hidden.height >= 2
    assert hidden.select("n", "mean", "sd", *QUANTILES).null_count().row(0) == (hidden.height,) * 8


def test_tails_of_few_patients_are_not_told() -> None:
    row = summary(people({("FACE", "A"): 60})).filter(pl.col("ancestry").is_null()).row(0, named=True)
    assert row["q50"] is not None  # 30 on each side
    assert row["q25"] is not None  # 15 beyond
    assert row["q05"] is None  # 3 beyond


def test_without_ancestry_networks_alone_are_told() -> None:
    frame = people({("FACE", "A"): 60, ("DZPG", "A"): 50}).with_columns(
        ancestry=pl.lit(None, dtype=pl.String)
    )
    assert set(told(summary(frame))) == {(None, None), ("FACE", None), ("DZPG", None)}


def test_one_network_is_not_told_beside_all_patients() -> None:
    assert set(told(summary(people({("FACE", "A"): 60, ("FACE", "B"): 50})))) == {
        (None, None),
        (None, "A"),
        (None, "B"),
    }


def test_only_told_groups_are_drawn() -> None:
    sizes = {
        ("FACE", "A"): 300,
        ("FACE", "Rare"): 3,
        ("DZPG", "A"): 200,
        ("DZPG", "B"): 90,
        ("FACE", "B"): 80,
    }
    figure = draw_scores(summary(people(sizes)), ("raw", "mean"), "Scores")
    drawn = svg_text(figure)
    assert "ancestry A" in drawn
    assert "Rare" not in drawn
    assert svg_text(draw_scores(summary(people(sizes)), ("raw", "mean"), "Scores")) == drawn
    assert draw_scores(summary(people({("FACE", "A"): 5})), ("raw",), "Scores") is None


def test_matches_name_each_reason() -> None:
    matches = pl.DataFrame(
        {
            "score": ["a"] * 3,
            "file": ["fr"] * 3,
            "verdict": ["matched", "absent", "palindromic_dropped"],
            "rows": [90, 6, 4],
        }
    )
    drawn = svg_text(draw_matches(matches, 0.75, "Match"))
    assert "palindromic dropped" in drawn
    assert "a, fr" in drawn
    assert draw_matches(matches.clear(), 0.75, "Match") is None


def test_intervals_of_few_are_not_drawn() -> None:
    values = np.concatenate([np.linspace(0, 1, 400), [5.0, 5.1]])
    shown = told_histogram(values, intervals=20, smallest_cell=SMALLEST)
    assert shown is not None
    assert shown.counts[shown.counts > 0].min() >= SMALLEST
    assert shown.edges[-1] < 5  # no edge is one patient's value
    lost = len(values) - shown.counts.sum()
    assert lost == 0 or (lost >= SMALLEST and shown.hidden > 1)
    assert told_histogram(values[:5], intervals=20, smallest_cell=SMALLEST) is None
    whole = told_histogram(values, intervals=20, smallest_cell=0)
    assert whole is not None
    assert whole.counts.sum() == len(values)


@pytest.mark.parametrize("people", [300, 6000])
def test_the_map_shows_most_of_a_small_cohort_too(people: int) -> None:
    draw = np.random.default_rng(4).normal(size=(people, 2))
    figure = draw_components(
        draw, [Population("EUR", np.zeros(2), np.eye(2))], smallest_cell=SMALLEST, title="Map"
    )
    assert figure is not None
    mesh = figure.axes[0].collections[0]
    corners = mesh.get_coordinates()
    sides, inside = [corners[0, :, 0], corners[:, 0, 1]], np.clip(draw, -2.99, 2.99)
    counts = np.histogram2d(inside[:, 0], inside[:, 1], bins=sides)[0]
    shown = ~np.ma.getmaskarray(mesh.get_array()).reshape(counts.shape).T
    assert counts[shown].min() >= SMALLEST
    assert counts[shown].sum() >= 0.6 * people
    assert len(corners) > 20 or people == 300  # a large cohort keeps its fine squares


def test_the_map_of_a_restricted_cohort_holds_no_point() -> None:
    draw = np.random.default_rng(3).normal(size=(300, 4))
    populations = [Population("EUR", np.zeros(4), np.eye(4)), Population("AFR", np.full(4, 6.0), np.eye(4))]
    restricted, public = (
        svg_text(draw_components(draw, populations, smallest_cell=smallest, title="Map"))
        for smallest in (SMALLEST, 0)
    )
    assert "AFR" in restricted
    assert public.count("<use") > 2 * 300  # a mark per patient in both panels
    assert restricted.count("<use") < 100
    assert draw_components(draw[:, :1], populations, smallest_cell=0, title="Map") is None


def test_samples_and_relatives() -> None:
    rates = {"call rate": (np.linspace(0.9, 1, 200), (0.95,)), "heterozygosity F": (np.full(200, np.nan), ())}
    drawn = svg_text(draw_samples(rates, smallest_cell=SMALLEST, title="Samples"))
    assert "call rate" in drawn
    assert "heterozygosity F" not in drawn  # nobody has one
    bars = svg_text(draw_relatives({"duplicate": None, "first degree": 24, "second degree": 0}, "Pairs"))
    assert "suppressed" in bars
    assert draw_relatives({"duplicate": 0, "first degree": None}, "Pairs") is None
