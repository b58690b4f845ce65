"""Populations, relatives and errors planted in the simulated genotypes are there, and nothing else of the world moves."""

from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bed_reader import open_bed
from numpy.typing import NDArray

from pipeline.errors import BadSettings
from pipeline.simulation.cohort import SimulatedCohort, simulate_cohort
from pipeline.simulation.dials import Simulation, read_dials
from pipeline.simulation.genomes import reference_people
from pipeline.simulation.genotypes import MISSING, TRAITS, make_panel
from pipeline.simulation.sources import write_sources, write_truth
from pipeline.simulation.wide_panel import WidePanel, widen

SEED = 3
NOTHING = {
    "others": 0, "fst": 0, "cline": 0, "score_shift": 0, "related": 0, "duplicates": 0, "sex_mix_ups": 0, "low_call": 0,
    "linked": 0, "neutral": 0, "variants_of_x": 0, "out_of_equilibrium": 0, "reference": 0,
}  # fmt: skip
DIALS = {"patients": 900, "ancestry": {"others": 0.2, "related": 0.15, "duplicates": 5, "sex_mix_ups": 4}}


@lru_cache(maxsize=1)
def drawn() -> SimulatedCohort:
    return simulate_cohort(Simulation.model_validate(DIALS), SEED)


@lru_cache(maxsize=1)
def wide() -> WidePanel:
    dials = drawn().world.dials
    return widen(make_panel(dials, SEED), dials.ancestry, SEED)


@lru_cache(maxsize=1)
def called() -> NDArray[np.float64]:
    """Return copies of the first allele, samples x variants, NaN where not called."""
    dosages = drawn().dosages
    return np.where(dosages == MISSING, np.nan, dosages.astype(np.float64))


def differentiation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Hudson's Fst as a ratio of sums (Bhatia 2013, doi 10.1101/gr.154831.113), of genotypes without missing ones."""
    (p, q), (n, m) = (part.mean(axis=0) / 2 for part in (one, other)), (2 * len(one), 2 * len(other))
    above = (p - q) ** 2 - p * (1 - p) / (n - 1) - q * (1 - q) / (m - 1)
    return float(above.sum() / (p * (1 - q) + q * (1 - p)).sum())


def kinship(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return KING-robust (Manichaikul 2010, doi 10.1093/bioinformatics/btq559) between two samples."""
    both = np.isfinite(one) & np.isfinite(other)
    a, b = one[both], other[both]
    fewer = min((a == 1).sum(), (b == 1).sum())
    opposite = (np.abs(a - b) == 2).sum()
    shared = ((a == 1) & (b == 1)).sum()
    heterozygous = (a == 1).sum() + (b == 1).sum()
    return float((shared - 2 * opposite) / (2 * fewer) + 0.5 - heterozygous / (4 * fewer))


def test_the_world_of_patients_is_the_same_whatever_their_genomes() -> None:
    small = {"patients": 150, "variants": 60}
    with_all = simulate_cohort(Simulation.model_validate(small), SEED)
    without = simulate_cohort(Simulation.model_validate({**small, "ancestry": NOTHING}), SEED)
    for name in ("people", "visits", "measurements", "stays", "events", "medications", "samples", "truth"):
        assert getattr(with_all, name).equals(getattr(without, name)), name
    assert without.panel.variants.equals(make_panel(without.world.dials, SEED).variants)
    assert with_all.dosages.shape[1] == 60 + 15 + 30 + 400 + 8
    assert without.relatives.is_empty()


def test_populations_differ_as_declared() -> None:
    _, people, dosages = reference_people(drawn().world)
    autosomes = wide().weighted
    groups = {
        str(name): dosages[(people["population"] == name).to_numpy()][:, autosomes].astype(np.float64)
        for name in ("A", "B", "C")
    }
    assert differentiation(groups["A"], groups["B"]) == pytest.approx(0.1, abs=0.02)
    assert differentiation(groups["A"], groups["C"]) == pytest.approx(0.1, abs=0.02)


def test_the_countries_lie_apart_on_a_cline() -> None:
    cohort = drawn()
    own = (cohort.samples_truth["population"] == "A").to_numpy()
    values = np.nan_to_num(called()[:, wide().weighted], nan=1.0)
    french, german = (values[own & (cohort.samples["country"] == name).to_numpy()] for name in ("FR", "DE"))
    assert differentiation(french, german) == pytest.approx(0.003, abs=0.0015)
    mixed = np.random.default_rng(0).permutation(np.vstack([french, german]))
    assert differentiation(mixed[: len(french)], mixed[len(french) :]) == pytest.approx(0.0, abs=0.0006)


def test_the_score_is_the_driver_within_a_population_and_a_trap_between_them() -> None:
    cohort, told = drawn(), drawn().samples_truth
    panel = cohort.panel
    frequency = panel.variants["frequency"].to_numpy()
    values = np.where(np.isnan(called()), 2 * frequency, called())
    score = panel.standardise(values, "schizophrenia")
    true = cohort.truth["polygenic_schizophrenia"].to_numpy()[cohort.samples["patient"].to_numpy()]
    counted = (told["duplicate_of"].is_null() & ~told["low_call"]).to_numpy()
    means = {}
    for name in ("A", "B", "C"):
        mine = counted & (told["population"] == name).to_numpy()
        assert np.corrcoef(score[mine], true[mine])[0, 1] > 0.97, name
        means[name] = score[mine].mean() - true[mine].mean()
    assert means["A"] == pytest.approx(0.0, abs=0.15)
    assert means["B"] == pytest.approx(1.0, abs=0.35)
    assert means["C"] == pytest.approx(-1.0, abs=0.35)


def test_relatives_and_second_identifiers_have_the_kinship_they_should() -> None:
    cohort, values = drawn(), called()[:, wide().passed_on]
    place = {name: number for number, name in enumerate(cohort.samples["sample_id"])}
    expected = {"siblings": 0.25, "parent and child": 0.25, "one person": 0.5}
    found: dict[str, list[float]] = {name: [] for name in expected}
    for one, other, relation in cohort.relatives.iter_rows():
        found[relation].append(kinship(values[place[one]], values[place[other]]))
    assert len(found["one person"]) == 5
    for relation, planted in expected.items():
        assert np.mean(found[relation]) == pytest.approx(planted, abs=0.025), relation
        assert min(found[relation]) > 0.125
    told = cohort.samples_truth
    alone = np.flatnonzero((told["family"].is_null() & (told["population"] == "A")).to_numpy())[:40]
    related = {frozenset(pair) for pair in cohort.relatives.select("sample_1", "sample_2").iter_rows()}
    names = cohort.samples["sample_id"].to_list()
    others = [
        kinship(values[a], values[b])
        for a, b in combinations(alone.tolist(), 2)
        if frozenset((names[a], names[b])) not in related
    ]
    assert max(others) < 0.0884  # second degree
    assert np.mean(others) == pytest.approx(-0.015, abs=0.015)  # the smaller number of heterozygotes divides


def test_relatives_are_of_one_population_and_of_fitting_ages() -> None:
    cohort = drawn()
    people = cohort.people.select("birth_year", "sex", "consent", "withdrawn")[
        cohort.samples["patient"].to_numpy()
    ]
    told = pl.concat([cohort.samples_truth, people], how="horizontal")
    related = told.filter(pl.col("family").is_not_null())
    assert related.height == pytest.approx(0.15 * told.height, rel=0.1)
    assert related.group_by("family").agg(pl.col("population").n_unique())["population"].max() == 1
    assert related.group_by("family").len()["len"].to_numpy().max() == 3
    assert (related["consent"] == "yes").all()
    assert not related["withdrawn"].any()
    born = dict(told.select("sample_id", "birth_year").iter_rows())
    sex = dict(told.select("sample_id", "sex").iter_rows())
    for one, other, relation in cohort.relatives.iter_rows():
        gap = born[other] - born[one]
        limits = {"siblings": (-24, 24), "parent and child": (18, 42), "one person": (-1, 1)}[relation]
        assert limits[0] <= gap <= limits[1]
        assert relation != "one person" or sex[one] == sex[other]


def test_chromosome_x_tells_sex_but_for_the_mix_ups() -> None:
    cohort = drawn()
    heterozygous = np.nanmean(called()[:, wide().on_x] == 1, axis=1)
    men = (cohort.samples["sex"] == "male").to_numpy() != cohort.samples_truth["sex_mixed_up"].to_numpy()
    assert cohort.samples_truth["sex_mixed_up"].sum() == 4
    assert heterozygous[men].max() == 0
    assert heterozygous[~men].min() > 0.25


def test_linked_and_unbalanced_variants_and_badly_called_samples_are_there() -> None:
    values, told = called(), drawn().samples_truth
    for follower, leader in zip(wide().linked[:50], wide().leader[:50], strict=True):
        both = np.isfinite(values[:, follower]) & np.isfinite(values[:, leader])
        assert np.corrcoef(values[both, follower], values[both, leader])[0, 1] == pytest.approx(0.9, abs=0.06)
    own = (told["population"] == "A").to_numpy()  # of several populations together every variant lacks some
    share = np.nanmean(values[own], axis=0) / 2
    missing_heterozygotes = 1 - np.nanmean(values[own] == 1, axis=0) / (2 * share * (1 - share))
    assert missing_heterozygotes[wide().unbalanced].min() > 0.3
    assert np.abs(missing_heterozygotes[wide().weighted]).max() < 0.3
    rate = np.isfinite(values).mean(axis=1)
    badly = told["low_call"].to_numpy()
    assert badly.sum() == 3
    assert rate[badly].max() < 0.85
    assert rate[~badly].min() > 0.97


def test_the_files_tell_the_panel_the_reference_and_the_truth(tmp_path: Path) -> None:
    cohort = simulate_cohort(Simulation(patients=150, variants=60), SEED)
    write_truth(cohort, write_sources(cohort, tmp_path / "data"), tmp_path / "truth")
    folder = tmp_path / "data/genotypes"
    with open_bed(folder / "de.bed") as german, open_bed(folder / "fr.bed") as french:
        assert set(german.chromosome) == {f"chr{name}" for name in cohort.panel.variants["chromosome"]}
        assert set(french.chromosome) == set(cohort.panel.variants["chromosome"])
        assert [*german.sid] == [*french.sid]
    with open_bed(folder / "reference.bed") as bed:
        assert bed.read(dtype="int8").mean(axis=0).max() <= 1  # the first allele is the rarer one
        populations = pl.read_csv(folder / "reference_populations.tsv", separator="\t")
        assert populations["sample_id"].to_list() == [*bed.iid]
    assert populations["population"].value_counts()["count"].to_list() == [150, 150, 150]
    assert not set(populations["sample_id"]) & set(cohort.samples["sample_id"])
    samples = pl.read_parquet(tmp_path / "truth/samples.parquet")
    assert samples["sample_id"].to_list() == cohort.samples["sample_id"].to_list()
    assert samples["raw_id"].is_in(cohort.people["patient"].implode()).all()
    pairs = pl.read_parquet(tmp_path / "truth/relatives.parquet")
    assert {*pairs["sample_1"], *pairs["sample_2"]} <= {*samples["sample_id"]}


def test_centres_have_their_own_shares_of_the_populations() -> None:
    cohort = drawn()
    centre = cohort.people["centre"].gather(cohort.samples["patient"])
    shares = (
        pl.DataFrame({"centre": centre, "other": cohort.samples_truth["population"] != "A"})
        .group_by("centre")
        .agg(pl.col("other").mean(), pl.len())
        .filter(pl.col("len") >= 20)
    )
    assert shares["other"].to_numpy().max() > shares["other"].to_numpy().min() + 0.1
    assert cohort.samples_truth["population"].value_counts().height == 3


def test_an_unknown_dial_of_ancestry_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadSettings, match=r"simulation.ancestry.fts is not a known dial; known: .*fst"):
        read_dials({"ancestry": {"fts": 0.1}})


def test_scores_without_driver_keep_their_weights_in_the_wide_panel() -> None:
    narrow = make_panel(drawn().world.dials, SEED)
    for trait in TRAITS:
        np.testing.assert_array_equal(drawn().panel.weights[trait][wide().weighted], narrow.weights[trait])
        assert np.count_nonzero(drawn().panel.weights[trait]) == np.count_nonzero(narrow.weights[trait])
