"""Stage genotypes in its order: quality control, matching, the reference panel, scores, and what of it may be told."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.genetics.checked import CheckedGenotypes
from experiments.genetics.drawing import draw_all
from experiments.genetics.matched import used_matches, whole_log
from experiments.genetics.reference import Reference, fit_reference
from experiments.genetics.report import report_of
from experiments.genetics.schemas import Panel
from experiments.genetics.scores import InFold, missing_of, score_patients
from experiments.genetics.told import Told
from experiments.seeds import seed_for
from features.errors import BadInput
from features.genetics.common import SharedVariants, locate_variants
from features.genetics.inputs import GeneticInputs, MatchedScores, match_scores
from features.genetics.quality import check_genotypes
from features.genetics.scoring import MissingGenotypes
from features.genetics.settings import ControlsSettings, GeneticSettings
from features.genetics.thresholds import QualityThresholds

__all__ = ["Plan", "genotyped_people", "prepare_genotypes"]


@dataclass(frozen=True)
class Plan:
    """What the stage was asked for.

    Attributes:
        study: its name.
        title: of figures.
        settings: of the genetic set.
        smallest_cell: the smallest count that may leave the site; 0 hides nothing.
        seed: the study's.
        threads: at work; they change no result.
    """

    study: str
    title: str
    settings: GeneticSettings
    smallest_cell: int
    seed: int
    threads: int = 1


def genotyped_people(
    mapping: pl.DataFrame,
    patients: pl.DataFrame,
    measurements: pl.DataFrame,
    controls: ControlsSettings | None,
) -> pl.DataFrame:
    """Return one row per sample of a patient: sample_id, patient_id, position, sex, network and control.

    Args:
        mapping: schema features.schema.Genotypes.
        patients: schema Patients.
        measurements: schema Measurements; a patient is a control who ever had one of the declared values.
        controls: None: nobody is declared, and `control` is null.

    Raises:
        BadInput: nobody has the declared variable.
    """
    people = mapping.join(
        patients.select("patient_id", "position", pl.col("sex").cast(pl.String), "network"),
        on="patient_id",
        how="inner",
        maintain_order="left",
    ).sort("position", "sample_id")
    if controls is None:
        return people.with_columns(control=pl.lit(None, dtype=pl.Boolean))
    told = measurements.filter((pl.col("variable") == controls.variable) & pl.col("category").is_not_null())
    if told.is_empty():
        raise BadInput(
            f"genetic: quality.controls.variable: nobody has a category of {controls.variable}; name a variable of the "
            "dictionary that tells controls from patients, or leave quality.controls out."
        )
    known = told.group_by("patient_id").agg(control=pl.col("category").is_in(list(controls.levels)).any())
    return people.join(known, on="patient_id", how="left", maintain_order="left")


def prepare_genotypes(
    inputs: GeneticInputs, people: pl.DataFrame, plan: Plan, frequencies: Mapping[str, NDArray[np.float64]]
) -> CheckedGenotypes:
    """Check the genotypes, match and compute the scores, place patients among the reference, and say what may be told.

    Args:
        inputs: the opened files.
        people: as `genotyped_people` gives them.
        plan: what was asked for.
        frequencies: by file name, of a1 by variant in the declared file; empty where none is declared.

    Raises:
        BadInput: files, scores or the reference cannot be used.
    """
    settings = plan.settings
    _refuse_nobody(inputs, people)
    _refuse_patients_in_reference(inputs, people)
    quality = check_genotypes(
        inputs.files,
        people,
        QualityThresholds.from_settings(settings.quality),
        reference=inputs.reference,
        genome_build=settings.genome_build or _build_of(inputs),
        threads=plan.threads,
    )
    matched = match_scores(inputs, settings, frequencies)
    used = used_matches(matched, quality.variants, settings)
    missing = missing_of(inputs, used, settings, frequencies)
    pruned = _located(inputs, quality.pruned)
    reference, places = _reference(inputs, pruned, used, missing, plan)
    scored = score_patients(
        inputs,
        used,
        settings,
        quality.samples,
        missing,
        reference=reference,
        places=places,
        in_fold=InFold(quality.pruned, quality.families),
        threads=plan.threads,
    )
    told = Told(inputs, people, quality, used, reference, scored, missing)
    summary = told.summary(plan.study, plan.smallest_cell)
    return CheckedGenotypes(
        samples=quality.samples,
        variants=quality.variants,
        relatives=quality.pairs,
        families=quality.families,
        pruned=quality.pruned,
        match_log=whole_log(inputs, used, quality.variants),
        panel=_panel(reference),
        normalisation={} if reference is None else reference.to_state(),
        scores=scored.frame,
        columns=scored.columns,
        summary=summary,
        flow={**quality.flow, "mapped_samples": people.height},
        report=report_of(told, settings, summary, plan.smallest_cell),
        figures=draw_all(told, settings, summary, plan.title, plan.smallest_cell),
    )


def _refuse_nobody(inputs: GeneticInputs, people: pl.DataFrame) -> None:
    known = set(people["sample_id"])
    strange = [file for file in inputs.files if known.isdisjoint(file.samples)]
    pasted = [file.name for file in strange if any(_after_a_family(sample, known) for sample in file.samples)]
    if pasted:
        raise BadInput(
            f"genetic: samples are called <family>_<sample> in {', '.join(pasted)}, as PLINK writes VCF, and <sample> in the table "
            "genotypes; export with plink2's id-paste=iid, or write the joined names into the table."
        )
    if known and len(strange) == len(inputs.files):
        raise BadInput(
            f"genetic: none of the {len(known)} samples of the table genotypes stands in {', '.join(file.name for file in inputs.files)}; "
            "mend the sample ids there, or the files under files."
        )


def _after_a_family(sample: str, known: set[str]) -> bool:
    """Whether a name is that of a known sample behind a family's and an underscore."""
    return any(sample[place + 1 :] in known for place, letter in enumerate(sample) if letter == "_")


def _refuse_patients_in_reference(inputs: GeneticInputs, people: pl.DataFrame) -> None:
    """Components and normalisation fitted on patients would carry those of a test fold into every other one."""
    panel = inputs.reference
    patients = 0 if panel is None else len(set(people["sample_id"]) & set(panel.samples))
    if panel is not None and patients:
        raise BadInput(
            f"genetic: {patients} sample(s) of patients stand in the reference {panel.name} too, which must hold people of no "
            "cohort; take them out of it, or make ids of different people differ."
        )


def _build_of(inputs: GeneticInputs) -> str | None:
    return next((file.genome_build for file in inputs.all_files if file.genome_build), None)


def _located(inputs: GeneticInputs, pruned: pl.DataFrame) -> SharedVariants:
    """Find the pruned variants in every file, the reference last."""
    found = [locate_variants(pruned, file.variants) for file in inputs.all_files]
    return SharedVariants(
        found[0].variants,
        np.concatenate([one.places for one in found]),
        np.concatenate([one.turned for one in found]),
    )


def _reference(
    inputs: GeneticInputs,
    pruned: SharedVariants,
    matched: MatchedScores,
    missing: Mapping[str, MissingGenotypes],
    plan: Plan,
) -> tuple[Reference | None, dict[str, pl.DataFrame]]:
    """Fit the panel; where its variants stand in each file, and whether the file counts the other allele."""
    panel, asked = inputs.reference, plan.settings.ancestry
    if panel is None or asked is None:
        return None, {}
    order = np.argsort(pruned.places[-1])
    variants = panel.variants[pruned.places[-1][order]].select(
        "chromosome", "position", "a1", "a2", "variant"
    )
    places = {
        file.name: pl.DataFrame({"variant": own[order], "turned": (turned != pruned.turned[-1])[order]})
        for file, own, turned in zip(inputs.files, pruned.places, pruned.turned, strict=False)
    }
    used = {score.name: match for score, match in zip(inputs.scoring, matched.used[panel.name], strict=True)}
    reference = fit_reference(
        panel,
        variants,
        used,
        missing[panel.name],
        populations=None if inputs.populations is None else inputs.populations.to_list(),
        components=asked.components,
        seed=seed_for(plan.seed, "genotypes", "components"),
        threads=plan.threads,
    )
    return reference, places


def _panel(reference: Reference | None) -> pl.DataFrame:
    if reference is None:
        return Panel.create_empty()
    components = reference.components
    weights, _ = components.projection_weights()
    return reference.variants.with_columns(
        frequency=pl.Series(components.frequencies),
        loadings=pl.Series(components.loadings.tolist(), dtype=pl.List(pl.Float64)),
        weights=pl.Series(weights.tolist(), dtype=pl.List(pl.Float64)),
    )
