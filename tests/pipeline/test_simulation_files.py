"""The simulated source files: bytes, genotypes, weights, and what intake makes of every planted bad row."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from bed_reader import open_bed

from features.prediction_times import build_prediction_times
from features.registry import FEATURE_SETS
from pipeline.commands.use import read_study
from pipeline.errors import BadInput, BadSettings
from pipeline.intake.ledger import Intake
from pipeline.intake.registry import read_cohort
from pipeline.settings.load import parameters
from pipeline.settings.study import Study
from pipeline.simulation.canonical import canonical_tables
from pipeline.simulation.cohort import SimulatedCohort, simulate_cohort
from pipeline.simulation.dials import Simulation
from pipeline.simulation.drivers import driver_table
from pipeline.simulation.genotypes import COMPLEMENT, MISSING
from pipeline.simulation.sources import write_sources, write_truth
from pipeline.simulation.variables import RELAPSE_ASKED
from pipeline.stages import simulate

SEED = 5
DIALS = Simulation(patients=300, variants=300, bad_rows=0.01)


@pytest.fixture(scope="module")
def drawn() -> SimulatedCohort:
    return simulate_cohort(DIALS, SEED)


@pytest.fixture(scope="module")
def folder(drawn: SimulatedCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo")
    write_truth(drawn, write_sources(drawn, place / "data"), place / "truth")
    return place


@pytest.fixture(scope="module")
def study() -> Study:
    return read_study("demo", [f"seed={SEED}"])


@pytest.fixture(scope="module")
def intake(folder: Path, study: Study) -> Intake:
    return read_data(folder / "data", study)


def digests(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("again", SEED), ("other", SEED + 1)):
        cohort = simulate_cohort(DIALS, seed)
        write_truth(cohort, write_sources(cohort, tmp_path / name / "data"), tmp_path / name / "truth")
    first, again, other = digests(folder), digests(tmp_path / "again"), digests(tmp_path / "other")
    assert again == first
    assert other.keys() == first.keys()
    # The patients of another seed are others; dials but the seed are not, and neither are lists of withdrawals sure to be.
    same = {name for name in first if other[name] == first[name]}
    # Ids of the people of the reference panel are counted.
    assert same <= {
        "data/fr/retraits.csv",
        "data/de/widerrufe.csv",
        "data/genotypes/reference.fam",
        "data/genotypes/reference_populations.tsv",
    }


def test_genotypes_are_read_back_by_bed_reader(drawn: SimulatedCohort, folder: Path) -> None:
    for country in ("FR", "DE"):
        mine = (drawn.samples["country"] == country).to_numpy()
        with open_bed(folder / f"data/genotypes/{country.lower()}.bed") as bed:
            values = bed.read(dtype="int8", num_threads=1)
            assert list(bed.iid) == drawn.samples.filter(pl.Series(mine))["sample_id"].to_list()
            assert list(bed.allele_1) == drawn.panel.variants["first"].to_list()
        np.testing.assert_array_equal(values, drawn.dosages[mine])
        assert (values == MISSING).mean() == pytest.approx(0.01, abs=0.003)


def test_allele_frequencies_are_those_of_the_panel(drawn: SimulatedCohort) -> None:
    called = np.where(drawn.dosages == MISSING, np.nan, drawn.dosages)
    observed = np.nanmean(called, axis=0) / 2
    assert np.abs(observed - drawn.panel.variants["frequency"].to_numpy()).mean() < 0.04


def test_sample_ids_are_no_patient_ids(drawn: SimulatedCohort) -> None:
    assert not set(drawn.samples["sample_id"]) & set(drawn.people["patient"])


def test_scores_from_the_weight_file_are_the_true_scores(drawn: SimulatedCohort, folder: Path) -> None:
    """Score by hand from the file, flips and strands minded, against the score that entered the hazards."""
    path = next((folder / "data/genotypes/scores").glob("*_schizophrenia.txt"))
    weights = pl.read_csv(path, separator="\t", comment_prefix="#")
    joined = weights.join(
        drawn.panel.variants.with_row_index("column"), left_on="rsID", right_on="name", how="left"
    )
    counts = json.loads((folder / "truth/genotypes.json").read_text())["scores"]["schizophrenia"]
    assert joined["column"].null_count() == counts["not_genotyped"] > 0
    called = drawn.dosages.astype(float)
    mean = 2 * drawn.panel.variants["frequency"].to_numpy()
    called = np.where(called == MISSING, mean, called)
    score = np.zeros(len(called))
    flipped = 0
    for row in joined.drop_nulls("column").iter_rows(named=True):
        effect = row["effect_allele"]
        if {effect, row["other_allele"]} != {row["first"], row["second"]}:
            effect = COMPLEMENT[effect]
        flipped += effect != row["first"]
        copies = called[:, row["column"]]
        score += row["effect_weight"] * (copies if effect == row["first"] else 2 - copies)
    assert flipped == counts["flipped"] > 0
    true = drawn.truth["polygenic_schizophrenia"].to_numpy()[drawn.samples["patient"].to_numpy()]
    # The mean differs between populations, and a second identifier has the genes of the first.
    told = drawn.samples_truth
    mine = ((told["population"] == "A") & told["duplicate_of"].is_null() & ~told["low_call"]).to_numpy()
    assert np.corrcoef(score[mine], true[mine])[0, 1] > 0.98


def test_intake_finds_every_planted_bad_row_and_no_other(folder: Path, intake: Intake) -> None:
    found = intake.quarantine
    planted = json.loads((folder / "truth/bad_rows.json").read_text())
    expected = {
        (item["source"], line)
        for item in planted
        if item["verdict"] in ("quarantined", "value")
        for line in item["lines"]
    }
    assert set(found.select("source", "row").iter_rows()) == expected
    kinds = {item["kind"] for item in planted}
    assert kinds >= {
        "missing_id", "exact_duplicate", "conflicting_duplicate", "impossible_date", "discharge_before_admission",
        "after_extract", "after_death", "sentinel", "out_of_range", "unknown_patient",
    }  # fmt: skip


def test_duplicates_and_missing_consent_are_counted_as_planted(
    drawn: SimulatedCohort, folder: Path, intake: Intake
) -> None:
    flow = {item["source"]: item for item in intake.flow["files"]}
    planted = json.loads((folder / "truth/bad_rows.json").read_text())
    for item in planted:
        if item["kind"] == "exact_duplicate":
            assert flow[item["source"]]["excluded_by"]["identical duplicate"] == item["rows"]
    people = drawn.people
    for country, name in (("FR", "fr_patients"), ("DE", "de_patients")):
        mine = people.filter(pl.col("country") == country)
        reasons = flow[name]["excluded_by"]
        assert reasons.get("withdrawn", 0) == mine["withdrawn"].sum()
        refused = mine.filter(~pl.col("withdrawn") & (pl.col("consent") != "yes"))
        assert reasons.get("no consent", 0) == refused.height
        assert flow[name]["kept"] == mine.height - refused.height - mine["withdrawn"].sum()


def test_intake_gives_back_what_was_simulated(drawn: SimulatedCohort, folder: Path, intake: Intake) -> None:
    """Two languages, two unit systems, five dialects: the values come back as simulated, in canonical units."""
    tables, clean = intake.tables, canonical_tables(drawn)
    admitted = drawn.people.filter((pl.col("consent") == "yes") & ~pl.col("withdrawn"))
    assert tables["patients"].height == admitted.height
    assert (
        tables["patients"]["sex"]
        .value_counts()
        .sort("sex")
        .equals(admitted["sex"].cast(tables["patients"]["sex"].dtype).value_counts().sort("sex"))
    )
    positions = admitted.with_row_index("n").select("patient")
    own = clean["patients"].filter(pl.Series(drawn.people["patient"].is_in(positions["patient"].implode())))[
        "patient_id"
    ]
    for name in ("visits", "events", "medications", "genotypes"):
        assert tables[name].height == clean[name].filter(pl.col("patient_id").is_in(own.implode())).height
    bad = sum(
        item["rows"]
        for item in json.loads((folder / "truth/bad_rows.json").read_text())
        if item["verdict"] == "value"
    )
    kept = clean["measurements"].filter(pl.col("patient_id").is_in(own.implode()))
    assert tables["measurements"].height == kept.height - bad
    means = [
        frame.group_by("variable")
        .agg(pl.col("number").median(), pl.col("below_limit").sum())
        .sort("variable")
        for frame in (tables["measurements"], kept)
    ]
    assert means[0]["variable"].to_list() == means[1]["variable"].to_list()
    for name, read_back, simulated in zip(
        means[0]["variable"], means[0]["number"], means[1]["number"], strict=True
    ):
        if simulated is not None:  # the planted bad values, which one side lacks, move a median a little
            assert read_back == pytest.approx(simulated, rel=0.05, abs=0.02), name


def test_routes_and_answers_come_back_in_one_language(drawn: SimulatedCohort, intake: Intake) -> None:
    admitted = drawn.people.with_row_index("n").filter((pl.col("consent") == "yes") & ~pl.col("withdrawn"))[
        "n"
    ]

    def counted(frame: pl.DataFrame, column: str) -> dict[str, int]:
        return dict(frame.group_by(pl.col(column).cast(pl.String)).len().drop_nulls().iter_rows())

    ours = drawn.medications.filter(pl.col("patient").is_in(admitted.implode()))
    assert counted(intake.tables["medications"], "route") == counted(ours, "route")
    assert counted(ours, "route")["depot"] > 10
    asked = intake.tables["measurements"].filter(pl.col("variable") == RELAPSE_ASKED)
    told = drawn.measurements.filter(pl.col("patient").is_in(admitted.implode()))
    assert counted(asked, "category") == counted(told, RELAPSE_ASKED)
    assert asked["available"].is_infinite().all()


@pytest.mark.parametrize("kind", ["short_row", "decimal_comma"])
def test_rows_that_break_a_file_are_refused_with_their_line(kind: str, study: Study, tmp_path: Path) -> None:
    cohort = simulate_cohort(Simulation(patients=120, variants=60, bad_rows=0, broken_rows=1), SEED)
    planted = {item.kind: item for item in write_sources(cohort, tmp_path)}
    assert planted[kind].verdict == "refused"
    with pytest.raises(BadInput) as refused:
        read_data(tmp_path, study)
    assert f"row {planted[kind].lines[0]}" in str(refused.value)


def read_data(data: Path, study: Study) -> Intake:
    return read_cohort(
        study.cohort,
        dictionary=study.dictionary,
        consent=study.consent,
        source=data,
        seed=study.seed,
        open_data=True,
    )


def test_the_study_file_and_the_dials_agree_on_the_extract(study: Study) -> None:
    assert study.simulation is not None
    assert Simulation.model_validate(study.simulation).extract_date == study.cohort.extract_date


def write_parameters(values: dict[str, Any], folder: Path) -> None:
    plain = json.loads(json.dumps(values))  # without YAML's aliases, which parameters may not hold
    (folder / "params.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")


def test_the_stage_writes_source_files_and_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = parameters(read_study("demo", ["simulation.patients=60", "simulation.variants=60"]))
    write_parameters(values, tmp_path)
    monkeypatch.chdir(tmp_path)
    simulate.run(Path("data/demo"), Path("artifacts/demo/truth"))
    assert (tmp_path / "data/demo/fr/patients.csv").is_file()
    truth = pl.read_parquet(tmp_path / "artifacts/demo/truth/patients.parquet")
    assert truth.height == 60
    assert json.loads((tmp_path / "artifacts/demo/truth/dials.json").read_text())["patients"] == 60
    # A second run replaces both folders whole.
    simulate.run(Path("data/demo"), Path("artifacts/demo/truth"))
    written = {path.stem for path in (tmp_path / "data/demo/genotypes").glob("*.bed")}
    assert written == {"fr", "de", "reference"}


def test_an_unknown_dial_stops_before_anything_runs() -> None:
    with pytest.raises(BadSettings, match=r"sygnal is not a known dial; known: .*signal"):
        read_study("demo", ["simulation.sygnal=1"])


def test_a_study_without_simulation_has_nothing_to_simulate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parameters(parameters(read_study("demo", ["simulation=null"])), tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings, match="has no simulation"):
        simulate.run(Path("data/demo"), Path("truth"))
    assert not (tmp_path / "data").exists()


def test_the_null_columns_and_the_carriers_are_features(drawn: SimulatedCohort) -> None:
    """The columns named in the truth exist, so that recall of drivers is counted on real names."""
    tables = canonical_tables(drawn)
    times = build_prediction_times(
        {"baseline": {"kind": "baseline_visit"}},
        patients=tables["patients"],
        visits=tables["visits"],
        stays=tables["stays"],
        events=tables["events"],
    )
    built = {
        column
        for name in ("clinical", "metabolic", "inflammatory")
        for column in FEATURE_SETS[name].build(times, tables).frame.columns
    }
    built |= {f"genetic_{trait}" for trait in read_study("demo").feature_sets["genetic"]["scores"]}
    table = driver_table(drawn)
    named = {column for group in table["groups"].values() for column in group["columns"]}
    assert named | set(table["null_columns"]) <= built


def test_the_oracle_shap_of_a_driver_is_the_mean_distance_of_its_term(drawn: SimulatedCohort) -> None:
    term = drawn.truth["term_symptoms"].to_numpy()
    told = driver_table(drawn)["groups"]["symptoms"]
    assert told["oracle_mean_absolute_shap"] == pytest.approx(np.abs(term - term.mean()).mean())
    assert told["sd_of_term"] == pytest.approx(np.log(1.5) * 1.0, abs=0.15)
