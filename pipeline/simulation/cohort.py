"""The simulated cohort: what was observed, and the truth behind it."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.seeds import seed_for
from pipeline.simulation.course import Course, draw_course
from pipeline.simulation.dials import Simulation
from pipeline.simulation.genomes import Genomes, make_genomes
from pipeline.simulation.genotypes import MISSING, Panel, draw_dosages, make_panel
from pipeline.simulation.hazards import (
    Hazards,
    Levels,
    calibrate,
    hazards,
)
from pipeline.simulation.indication import draw_indication, with_indicated
from pipeline.simulation.marker_values import Traits, true_markers
from pipeline.simulation.measuring import Sources, measure, metabolic_syndrome
from pipeline.simulation.medications import draw_changes, draw_medications, with_routes
from pipeline.simulation.patients import Latent, draw_patients, driver_matrix
from pipeline.simulation.truth import truth_table
from pipeline.simulation.variables import RELAPSE_ASKED
from pipeline.simulation.visits import answer_relapse, draw_visits, told_of_relapse
from pipeline.simulation.world import DRIVERS, Array, Centre, World, choose_centres, make_world

Places = Literal["same centres", "new centres", "new country"]
ONE_YEAR = 365  # days within which a relapse counts for `plate_with_outcome`
REFERENCE = 6000  # patients of the sample on which the levels are found
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class SimulatedCohort:
    """A cohort before it is written.

    Attributes:
        world: centres, dials and seed.
        people: one row per patient: raw id, centre, country, network, ...; `baseline` in days since 1970-01-01.
        visits: patient (index), number 0.., time in days since 1970-01-01.
        measurements: one row per visit with a column per variable, null where empty, and the sample's plate.
        stays, events, medications: patient (index), times in days since 1970-01-01.
        samples: patient (index), sample_id, sex: who is genotyped, in the order of `dosages`.
        panel: variants and weights.
        dosages: samples x variants, MISSING where not called.
        samples_truth: one row per sample: population, family and planted errors, as genomes.Genomes.truth.
        relatives: sample_1, sample_2, relation.
        truth: one row per patient: linear predictor and its terms, risks, stratum, latent times.
        effects: country -> driver -> log hazard ratio.
        pools: plate, variable, value: readings of one pool on every plate of the cytokine laboratory.
    """

    world: World
    people: pl.DataFrame
    visits: pl.DataFrame
    measurements: pl.DataFrame
    stays: pl.DataFrame
    events: pl.DataFrame
    medications: pl.DataFrame
    samples: pl.DataFrame
    panel: Panel
    dosages: NDArray[np.int8]
    samples_truth: pl.DataFrame
    relatives: pl.DataFrame
    truth: pl.DataFrame
    effects: dict[str, dict[str, float]]
    pools: pl.DataFrame


def simulate_cohort(dials: Simulation, seed: int) -> SimulatedCohort:
    """Return the study's cohort: the same for the same dials and seed, byte for byte."""
    return _draw_cohort(make_world(dials, seed), "same centres", dials.patients, "cohort")


def fresh_patients(world: World, places: Places, count: int, number: int = 0) -> SimulatedCohort:
    """Draw other patients of the same world: same centres and effects, new centres, or a new country.

    Args:
        world: the world of the cohort, `SimulatedCohort.world`.
        places: where they are treated.
        count: how many.
        number: another number gives other patients.
    """
    return _draw_cohort(world, places, count, f"fresh {number}")


def _draw_cohort(world: World, places: Places, count: int, name: str) -> SimulatedCohort:
    dials = world.dials
    draw = np.random.default_rng(seed_for(world.seed, "simulation", name, places, count))
    centres = choose_centres(world, places, dials.french_centres + dials.german_centres)
    panel = make_panel(dials, world.seed)
    latent = draw_patients(world, centres, count, draw)
    # From generators of their own: they came later, and all that was drawn before stays as it was.
    added, later = (
        np.random.default_rng(seed_for(world.seed, "simulation", name, places, count, part))
        for part in ("added", "later")
    )
    latent, treated = draw_indication(latent, dials.treatment_by_indication, world.patient_signal, added)
    dosages = draw_dosages(panel, latent.people["network"].to_numpy(), draw)
    polygenic = panel.standardise(dosages.astype(np.float64), "schizophrenia")
    traits = true_markers(latent, dials, draw, added)
    terms, predictor = _linear_predictor(world, centres, latent, traits, polygenic)
    predictor = predictor + treated.term
    own = _hazards(world, latent, predictor, _levels(world), draw)
    leaving = np.exp(dials.dropout_by_severity * latent.factors["symptoms"])
    last = dials.extract_date.toordinal() - EPOCH
    course = draw_course(own, leaving, last - latent.people["baseline"].to_numpy(), draw)
    visits = _dated(draw_visits(latent, course, world, draw), latent, "day").rename({"day": "time"})
    measurements, pools = measure(
        latent,
        traits,
        visits,
        centres=centres,
        dials=dials,
        relapsing=course.relapse <= ONE_YEAR,
        sources=Sources(draw, added),
    )
    samples, called = _genotyped(latent, dosages, dials, draw)
    # A generator of its own again: populations and relatives came later still.
    genetic = np.random.default_rng(seed_for(world.seed, "simulation", name, places, count, "genomes"))
    genomes = _genomes(world, latent, samples, (called, dosages, polygenic), genetic)
    medications = draw_medications(latent.people, course.end, draw)
    events = _dated(course.events, latent, "day").rename({"day": "time"})
    told = told_of_relapse(latent.people["country"], dials, world.seed)
    answer = answer_relapse(visits, events, told, dials.relapse_answer_unknown, later)
    return SimulatedCohort(
        world,
        latent.people,
        visits,
        measurements.with_columns(answer.alias(RELAPSE_ASKED)),
        _dated(course.stays, latent, "admission", "discharge"),
        events,
        with_indicated(
            _with_changes(medications, latent, course, dials, later),
            latent.people["baseline"].to_numpy(),
            treated,
            added,
        ),
        samples,
        genomes.panel,
        genomes.dosages,
        genomes.truth,
        genomes.pairs,
        truth_table(
            latent, terms, own, course, predictor=predictor, polygenic=polygenic, traits=traits
        ).with_columns(
            relapse_told=told,
            antipsychotic_dose=pl.Series(treated.dose),
            term_treatment=pl.Series(treated.term),
        ),
        {country: world.effects(country) for country in sorted(set(latent.people["country"]))},
        pools,
    )


def _levels(world: World) -> Levels:
    """Find the baseline hazards on a reference sample of the study's own centres, whoever is drawn later."""
    draw = np.random.default_rng(seed_for(world.seed, "simulation", "reference"))
    added = np.random.default_rng(seed_for(world.seed, "simulation", "reference", "added"))
    latent = draw_patients(world, world.centres, REFERENCE, draw)
    latent, treated = draw_indication(
        latent, world.dials.treatment_by_indication, world.patient_signal, added
    )
    traits = true_markers(latent, world.dials, draw, added)
    _, predictor = _linear_predictor(world, world.centres, latent, traits, draw.normal(size=REFERENCE))
    networks = latent.people["network"].to_numpy()
    return calibrate(predictor + treated.term, networks, signal=world.patient_signal)


def _linear_predictor(
    world: World, centres: tuple[Centre, ...], latent: Latent, traits: Traits, polygenic: Array
) -> tuple[pl.DataFrame, Array]:
    """Return each driver's term, the centre's and their sum, without the network's level."""
    women = (latent.people["sex"] == "female").to_numpy()
    syndrome = metabolic_syndrome(traits.values, women).astype(np.float64)
    drivers = driver_matrix(latent.people, latent.factors["symptoms"], syndrome, polygenic)
    by_country = {centre.country: list(world.effects(centre.country).values()) for centre in centres}
    effects = np.array([by_country[country] for country in latent.people["country"]])
    centre = np.array([centre.log_hazard for centre in centres])[latent.people["place"].to_numpy()]
    terms = pl.DataFrame(drivers * effects, schema=[f"term_{name}" for name in DRIVERS]).with_columns(
        term_centre=pl.Series(centre)
    )
    values = pl.DataFrame(drivers, schema=[f"driver_{name}" for name in DRIVERS])
    return pl.concat([values, terms], how="horizontal"), (drivers * effects).sum(axis=1) + centre


def _hazards(world: World, latent: Latent, predictor: Array, levels: Levels, draw: Generator) -> Hazards:
    dials = world.dials
    frailty = dials.frailty * draw.normal(size=len(predictor)) - dials.frailty**2 / 2
    age = (latent.people["age"].to_numpy() - 40) / 10
    toward = world.patient_signal
    return hazards(
        predictor + frailty,
        latent.people["network"].to_numpy(),
        levels,
        death_predictor=toward * (0.25 * latent.factors["symptoms"] + 0.5 * age - 0.15) + frailty,
        death=dials.death,
        signal=toward,
    )


def _with_changes(
    earlier: pl.DataFrame, latent: Latent, course: Course, dials: Simulation, draw: Generator
) -> pl.DataFrame:
    routed = with_routes(earlier, draw)
    severity = latent.factors["symptoms"]
    begun = draw_changes(
        latent.people, course.end, draw, severity=severity, rate=dials.treatment_changes, earlier=routed
    )
    return pl.concat([routed, begun], how="vertical_relaxed").sort("patient", "atc", maintain_order=True)


def _dated(frame: pl.DataFrame, latent: Latent, *columns: str) -> pl.DataFrame:
    start = pl.Series(latent.people["baseline"].to_numpy()[frame["patient"].to_numpy()])
    return frame.with_columns((pl.col(name) + start).cast(pl.Int64) for name in columns)


def _genomes(
    world: World,
    latent: Latent,
    samples: pl.DataFrame,
    drawn: tuple[NDArray[np.int8], NDArray[np.int8], Array],
    draw: Generator,
) -> Genomes:
    """Return the genotypes of the samples, given those called, all patients' dosages and their scores."""
    called, dosages, score = drawn
    who = samples["patient"].to_numpy()
    known = latent.people.select("birth_year", "centre", "consent", "withdrawn")[who]
    people = pl.concat([samples.drop("patient"), known], how="horizontal")
    return make_genomes(world, people, called, dosages[who], score=score[who], draw=draw)


def _genotyped(
    latent: Latent, dosages: NDArray[np.int8], dials: Simulation, draw: Generator
) -> tuple[pl.DataFrame, NDArray[np.int8]]:
    who = np.flatnonzero(draw.random(latent.people.height) < dials.genotyped)
    numbers = draw.permutation(len(who)) + 1
    country = latent.people["country"].to_numpy()[who]
    samples = pl.DataFrame(
        {
            "patient": who,
            "sample_id": [f"{place}G{number:06d}" for place, number in zip(country, numbers, strict=True)],
            "sex": latent.people["sex"].to_numpy()[who],
            "country": country,
        }
    )
    called = dosages[who]
    called[draw.random(called.shape, dtype=np.float32) < dials.missing_genotypes] = MISSING
    order = samples.with_row_index("row").sort("sample_id")
    return order.drop("row"), called[order["row"].to_numpy()]
