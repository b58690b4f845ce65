"""The columns of the genetic set, one row per patient: scores, components and normalised scores of one sample each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.genetics.in_fold import FoldColumns, component_columns, frequency_columns, samples_by_file
from experiments.genetics.reference import Reference
from features.genetics.frequencies import effect_frequencies
from features.genetics.inputs import GeneticInputs, MatchedScores
from features.genetics.scoring import MEAN, MissingGenotypes, score_samples
from features.genetics.scoring_files import ScoringFile
from features.genetics.settings import NORMALISATIONS, GeneticSettings

SET = "genetic"
UNIT, NORMALISED_UNIT = "sum of weights", "SD of the reference"
ANCESTRY = f"{SET}_ancestry"
WORDS = {
    "mean": "less what its mean follows of the components among the reference",
    "mean_variance": "less what its mean follows of the components among the reference, over the SD that follows of them",
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PatientScores:
    """What a patient's genotypes give.

    Attributes:
        frame: patient_id and the set's columns, one row per patient with a sample that quality control kept.
        columns: as features.schema.ColumnDescriptions.
        missing: share of missing genotypes by file name and score.
    """

    frame: pl.DataFrame
    columns: pl.DataFrame
    missing: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class InFold:
    """What components that are fitted in the training fold stand on.

    Attributes:
        pruned: variants that hardly correlate and that every file holds, features.genetics.common.SHARED_VARIANTS.
        families: patient_id and family of patients with relatives.
    """

    pruned: pl.DataFrame
    families: pl.DataFrame


def column_of(score: str, form: str = "raw") -> str:
    """Return the column of a score in one form: raw, mean or mean_variance."""
    return f"{SET}_{score}" if form == "raw" else f"{SET}_{score}_ancestry_{form}"


def score_patients(
    inputs: GeneticInputs,
    matched: MatchedScores,
    settings: GeneticSettings,
    samples: pl.DataFrame,
    missing: Mapping[str, MissingGenotypes],
    *,
    reference: Reference | None = None,
    places: Mapping[str, pl.DataFrame] | None = None,
    in_fold: InFold | None = None,
    threads: int = 1,
) -> PatientScores:
    """Score one sample of each patient: of several that quality control kept, the one with the highest call rate.

    Every figure follows from the sample, the scoring files and the reference alone: nobody else's genotypes enter.

    Args:
        inputs: genotype and scoring files.
        matched: the scores matched to them.
        settings: of the set.
        samples: sample_id, patient_id, file, call_rate, kept.
        missing: by file name, what stands in for missing genotypes.
        reference: the panel; None: no components.
        places: by file name, where the panel's variants stand (Reference.project).
        in_fold: what components that are fitted in the fold stand on; None: none are asked for.
        threads: at work on samples.
    """
    chosen = samples_by_file(inputs.files, one_sample_each(samples))
    frames, shares = [], {}
    for file in inputs.files:
        own = chosen[file.name]
        where = own["place"].to_numpy()
        used = matched.used[file.name]
        found = score_samples(file, used, samples=where, missing=missing[file.name], threads=threads)
        shares[file.name] = {
            score.name: _share(int(gone), own.height * match.used.height)
            for score, gone, match in zip(inputs.scoring, found.missing, used, strict=True)
        }
        columns: dict[str, Any] = {
            column_of(score.name): found.values[:, number] for number, score in enumerate(inputs.scoring)
        }
        if reference is not None and places is not None:
            components = reference.project(file, places[file.name], where, threads=threads)
            columns |= _by_ancestry(reference, inputs.scoring, found.values, components)
        frames.append(pl.concat([own.select("patient_id"), pl.DataFrame(columns)], how="horizontal"))
    frame = pl.concat(frames).sort("patient_id").with_columns(pl.col(pl.Float64).fill_nan(None))
    described = _describe(inputs.scoring, settings, reference)
    for more in _of_folds(inputs, matched, settings, chosen, in_fold):
        frame = frame.join(more.frame, on="patient_id", how="left", validate="1:1", maintain_order="left")
        described = pl.concat([described, _context(more.words)])
    return PatientScores(frame, described.sort("column"), shares)


def one_sample_each(samples: pl.DataFrame) -> pl.DataFrame:
    """Return of each patient the kept sample with the highest call rate (sample_id, patient_id, file, call_rate, kept)."""
    ordered = samples.filter("kept").sort(
        ["patient_id", "call_rate", "sample_id"], descending=[False, True, False]
    )
    return ordered.unique("patient_id", keep="first", maintain_order=True)


def _of_folds(
    inputs: GeneticInputs,
    matched: MatchedScores,
    settings: GeneticSettings,
    chosen: Mapping[str, pl.DataFrame],
    in_fold: InFold | None,
) -> list[FoldColumns]:
    """Return what is fitted in folds needs, where the settings ask for it."""
    made = []
    if in_fold is not None and settings.ancestry is not None and settings.ancestry.in_fold:
        made.append(component_columns(inputs, chosen, in_fold.pruned, in_fold.families))
    if settings.missing.in_fold:
        names = [column_of(score.name) for score in inputs.scoring]
        made.append(frequency_columns(inputs, matched, chosen, names))
    return made


def _context(words: Mapping[str, str]) -> pl.DataFrame:
    rows = [
        _row(name, text, "", "this study's genotypes", role="context", kind="category")
        for name, text in words.items()
    ]
    return _described(rows)


def missing_of(
    inputs: GeneticInputs,
    matched: MatchedScores,
    settings: GeneticSettings,
    frequencies: Mapping[str, Floats],
) -> dict[str, MissingGenotypes]:
    """Return by file name what stands in for missing genotypes; with `cohort` nothing yet: the fold adds it.

    Args:
        inputs: genotype files.
        matched: the scores matched to them.
        settings: of the set.
        frequencies: by file name, of a1 by variant in the declared frequency file, NaN where not known; empty without one.
    """
    found = {}
    for file in inputs.all_files:
        used, imputation = matched.used[file.name], settings.missing.imputation
        if settings.missing.in_fold:
            found[file.name] = MissingGenotypes(MEAN, [np.zeros(match.used.height) for match in used])
        elif settings.missing.file is not None:
            own = [effect_frequencies(match, frequencies[file.name]) for match in used]
            found[file.name] = MissingGenotypes(imputation, own)
        else:
            found[file.name] = MissingGenotypes(imputation)
    return found


def _by_ancestry(
    reference: Reference, scoring: Sequence[ScoringFile], scores: Floats, components: Floats
) -> dict[str, Any]:
    columns: dict[str, Any] = {
        column_of(score.name, how): reference.normalisations[score.name][how].apply(
            scores[:, number], components
        )
        for number, score in enumerate(scoring)
        for how in NORMALISATIONS
    }
    columns |= {_component(number): components[:, number] for number in range(components.shape[1])}
    if reference.populations is not None:
        columns[ANCESTRY] = pl.Series(reference.populations.assign(components).population, dtype=pl.String)
    return columns


def _share(part: int, whole: int) -> float | None:
    # Four digits: the share is told, and more would tell how many samples were kept.
    return round(part / whole, 4) if whole else None


def _component(number: int) -> str:
    return f"{SET}_component_{number + 1}"


def _describe(
    scoring: Sequence[ScoringFile], settings: GeneticSettings, reference: Reference | None
) -> pl.DataFrame:
    rows = [_row(column_of(score.name), _score_words(score), UNIT, score.source) for score in scoring]
    ancestry = settings.ancestry
    if reference is not None and ancestry is not None:
        raw = "predictor" if ancestry.raw_as_predictor else "context"
        rows = [{**row, "role": raw} for row in rows]
        for score in scoring:
            for how in NORMALISATIONS:
                role = "predictor" if how == ancestry.normalise else "context"
                words = f"{_score_words(score)}, {WORDS[how]}"
                rows.append(_row(column_of(score.name, how), words, NORMALISED_UNIT, score.source, role=role))
        role = "predictor" if ancestry.components_as_predictors else "context"
        words = "principal component of ancestry, projected on the reference panel"
        source = "Price et al., Nature Genetics 2006, 38:904-909"
        rows += [
            _row(_component(number), f"{words}: {number + 1}", "", source, role=role)
            for number in range(len(reference.components.eigenvalues))
        ]
        if reference.populations is not None:
            words = "the reference population whose people are alike in the components, or not assigned"
            rows.append(_row(ANCESTRY, words, "", source, role="context", kind="category"))
    return _described(rows)


def _described(rows: Sequence[Mapping[str, str | None]]) -> pl.DataFrame:
    kinds, roles = pl.Enum(["number", "category"]), pl.Enum(["predictor", "context"])
    return pl.DataFrame(rows, schema_overrides={"kind": kinds, "role": roles, "unit": pl.String})


def _score_words(score: ScoringFile) -> str:
    trait = score.header.get("trait_reported") or score.name
    return f"Polygenic score for {trait}: sum over variants of effect alleles times weight"


def _row(
    column: str, words: str, unit: str, source: str, *, role: str = "predictor", kind: str = "number"
) -> dict[str, str | None]:
    return {
        "column": column,
        "feature_set": SET,
        "kind": kind,
        "description": words,
        "unit": unit or None,
        "source": source,
        "role": role,
    }
