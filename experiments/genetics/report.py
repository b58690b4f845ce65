"""What is told of a study's genotypes: words, counts that may leave the site, and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from experiments.disclosure import hidden_cells
from experiments.genetics.figures import MATCHED, draw_matches, draw_scores
from experiments.genetics.figures_people import Population, draw_components, draw_relatives, draw_samples
from experiments.genetics.matched import NOT_EVERYWHERE
from experiments.genetics.reference import Reference
from experiments.genetics.schemas import FORMS, RELATIONS
from experiments.genetics.scores import ANCESTRY, PatientScores, column_of
from experiments.genetics.summary import score_summary
from experiments.genetics.warnings import warnings_of
from features.genetics.genotypes import GenotypeFile
from features.genetics.inputs import GeneticInputs, MatchedScores
from features.genetics.matching import Match
from features.genetics.quality import GenotypeQuality
from features.genetics.settings import GeneticSettings
from features.genetics.thresholds import QualityThresholds

COMPONENT = "genetic_component_"
QUALITY_FAILED = "failed_quality_control"


@dataclass(frozen=True)
class Told:
    """All that there is to tell of.

    Attributes:
        inputs: files and scores.
        people: one row per sample of a patient, with `network`.
        quality: of quality control.
        matched: the scores matched to the files; `used` without variants that failed.
        reference: the panel; None: none was declared.
        scored: the columns of the set by patient.
    """

    inputs: GeneticInputs
    people: pl.DataFrame
    quality: GenotypeQuality
    matched: MatchedScores
    reference: Reference | None
    scored: PatientScores

    def summary(self, study: str, smallest_cell: int) -> pl.DataFrame:
        """Return the scores by network and ancestry, schema ScoreSummary."""
        return score_summary(self.patients(), self.values(), study=study, smallest_cell=smallest_cell)

    def values(self) -> dict[tuple[str, str], str]:
        """Return the column of every score and form that there is."""
        named = {
            (score.name, form): column_of(score.name, form) for score in self.inputs.scoring for form in FORMS
        }
        return {key: column for key, column in named.items() if column in self.scored.frame.columns}

    def patients(self) -> pl.DataFrame:
        """Return one row per patient with a sample in a file: network, ancestry, file and the set's columns."""
        sampled = self.quality.samples.select("patient_id", "file").unique(
            "patient_id", keep="first", maintain_order=True
        )
        networks = self.people.select("patient_id", "network").unique("patient_id", maintain_order=True)
        frame = sampled.join(networks, on="patient_id", how="left", maintain_order="left").join(
            self.scored.frame, on="patient_id", how="left", maintain_order="left"
        )
        ancestry = pl.col(ANCESTRY) if ANCESTRY in frame.columns else pl.lit(None, dtype=pl.String)
        return frame.with_columns(ancestry=ancestry)


def report_of(
    told: Told, settings: GeneticSettings, summary: pl.DataFrame, smallest_cell: int
) -> dict[str, Any]:
    """Return what cards, MLflow and readers are told, as JSON values; no count of patients in it is small."""
    matches = match_rows(told)
    return {
        "sentence": _sentence(told, settings),
        "settings": _settings(settings),
        "files": [_file(file, reference=file is told.inputs.reference) for file in told.inputs.all_files],
        "scores": _scores(told),
        "matches": matches,
        "missing": _missing(told, smallest_cell),
        "relatives": _relatives(told.quality, smallest_cell),
        "relative_words": _relative_words(told.quality, smallest_cell),
        "quality_words": told.quality.flow["notes"],
        "variants": {"pruned": told.quality.pruned.height},
        "warnings": warnings_of(told.patients(), told.values(), matches, settings, smallest_cell),
    }


def genetic_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return figures for MLflow: the least match rate and share of weights of each score, and the pruned variants."""
    found: dict[str, float] = {}
    for item in report.get("matches", ()):
        for name, value in (("match_rate", item["rate"]), ("weight_share", item["weight_share"])):
            key = f"genetic.{item['score']}.{name}"
            found[key] = min(found.get(key, 1.0), float(value))
    for item in report.get("scores", ()):
        found[f"genetic.{item['score']}.variants_used"] = float(item["used"])
    if report.get("variants"):
        found["genetic.pruned_variants"] = float(report["variants"]["pruned"])
    return found


def match_rows(told: Told) -> list[dict[str, Any]]:
    """Return per score and file what became of the score's rows."""
    rows = []
    for file in told.inputs.all_files:
        failed = set(told.quality.variants.filter((pl.col("file") == file.name) & ~pl.col("kept"))["variant"])
        for score, whole, used in zip(
            told.inputs.scoring, told.matched.whole[file.name], told.matched.used[file.name], strict=True
        ):
            own = {"score": score.name, "file": file.name, "reference": file is told.inputs.reference}
            rows.append({**own, **_match(whole, used, failed)})
    return sorted(rows, key=lambda row: (row["score"], row["reference"], row["file"]))


def _match(whole: Match, used: Match, failed: set[int]) -> dict[str, Any]:
    bad = sum(variant in failed for variant in whole.used["variant"])
    unused = {name: count for name, count in whole.counts.items() if name not in _OF_MATCHED}
    elsewhere = whole.used.height - used.used.height - bad
    return {
        "rows": whole.counts["rows"],
        "matched": whole.used.height,
        "used": used.used.height,
        "rate": whole.rate,
        "weight_share": used.weight_share,
        "alleles_flipped": whole.counts["alleles_flipped"],
        "strand_flipped": whole.counts["strand_flipped"],
        "unused": {**unused, QUALITY_FAILED: bad, NOT_EVERYWHERE.replace(" ", "_"): elsewhere},
    }


_OF_MATCHED = (
    "rows",
    "matched",
    "alleles_flipped",
    "strand_flipped",
    "palindromic",
    "by_id",
    "not_in_every_file",
)


def draw_all(
    told: Told, settings: GeneticSettings, summary: pl.DataFrame, title: str, smallest_cell: int
) -> dict[str, Any]:
    """Return the figures that may be drawn, by name."""
    limits = QualityThresholds.from_settings(settings.quality)
    samples = told.quality.samples
    figures = {
        "scores": draw_scores(summary, _forms(settings), f"{title}: polygenic scores"),
        "matches": draw_matches(_verdicts(told), settings.minimum_match, f"{title}: variants of scores"),
        "samples": draw_samples(
            {
                "call rate": (_numbers(samples["call_rate"]), (limits.sample_call_rate,)),
                "heterozygosity, robust SD": (
                    _numbers(samples["heterozygosity_distance"]),
                    (-limits.heterozygosity_sd, limits.heterozygosity_sd),
                ),
                "F of chromosome X": (_numbers(samples["x_f"]), (limits.female_f, limits.male_f)),
            },
            smallest_cell=smallest_cell,
            title=f"{title}: samples",
        ),
        "relatives": draw_relatives(_relatives(told.quality, smallest_cell), f"{title}: related pairs"),
        "components": _components(told, title, smallest_cell),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _forms(settings: GeneticSettings) -> tuple[str, ...]:
    ancestry = settings.ancestry
    return ("raw",) if ancestry is None or ancestry.in_fold else ("raw", ancestry.normalise)


def _components(told: Told, title: str, smallest_cell: int) -> Any | None:
    names = [name for name in told.scored.frame.columns if name.startswith(COMPONENT)]
    if told.reference is None or not names:
        return None
    names.sort(key=lambda name: int(name.removeprefix(COMPONENT)))
    fitted = told.reference.populations
    populations = (
        []
        if fitted is None
        else [
            Population(name, mean, covariance)
            for name, mean, covariance in zip(fitted.names, fitted.means, fitted.covariances, strict=True)
        ]
    )
    projected = told.scored.frame.select(names).drop_nulls().to_numpy()
    return draw_components(projected, populations, smallest_cell=smallest_cell, title=f"{title}: ancestry")


def _verdicts(told: Told) -> pl.DataFrame:
    rows = [
        {"score": row["score"], "file": row["file"], "verdict": verdict, "rows": count}
        for row in match_rows(told)
        for verdict, count in {MATCHED: row["used"], **row["unused"]}.items()
    ]
    return pl.DataFrame(
        rows, schema={"score": pl.String, "file": pl.String, "verdict": pl.String, "rows": pl.Int64}
    )


def _numbers(column: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _sentence(told: Told, settings: GeneticSettings) -> str:
    files = len(told.inputs.files)
    ancestry = settings.ancestry
    if ancestry is None:
        words = "ancestry was not looked at"
    elif ancestry.in_fold:
        words = f"{ancestry.components} components of ancestry are fitted inside each training fold"
    else:
        assert told.inputs.reference is not None
        words = f"{ancestry.components} components of ancestry come from the reference {told.inputs.reference.name}"
    return (
        f"{files} genotype file{'s' if files > 1 else ''}, {len(told.inputs.scoring)} polygenic scores; "
        f"{told.quality.pruned.height:,} independent common variants stand in every file; {words}."
    )


def _settings(settings: GeneticSettings) -> dict[str, Any]:
    ancestry = settings.ancestry
    shown = None if ancestry is None else ancestry.reference
    return {
        "genome_build": settings.genome_build,
        "minimum_match": settings.minimum_match,
        "palindromic": settings.palindromic,
        "variants": settings.variants,
        "missing": {"imputation": settings.missing.imputation, "frequencies": settings.missing.frequencies},
        "quality": dict(settings.quality),
        "ancestry": None
        if ancestry is None
        else {
            "reference": ", ".join(shown) if isinstance(shown, tuple) else shown,
            "components": ancestry.components,
            "normalise": ancestry.normalise,
        },
    }


def _file(file: GenotypeFile, *, reference: bool) -> dict[str, Any]:
    return {
        "file": file.name,
        "reference": reference,
        "variants": file.variants.height,
        "genome_build": file.genome_build,
        "dosages": file.holds_dosages,
    }


def _scores(told: Told) -> list[dict[str, Any]]:
    return [
        {
            "score": score.name,
            "path": score.path,
            "source": score.source,
            "format": score.format,
            "trait": score.header.get("trait_reported"),
            "genome_build": score.genome_build,
            "rows": score.variants.height,
            "repeated": score.repeated,
            "used": max(of_file[place].used.height for of_file in told.matched.used.values()),
        }
        for place, score in enumerate(told.inputs.scoring)
    ]


def _missing(told: Told, smallest_cell: int) -> list[dict[str, Any]]:
    people = dict(told.quality.samples["file"].value_counts().iter_rows())
    return [
        {"score": score, "file": file, "share": share if people.get(file, 0) >= smallest_cell else None}
        for file, shares in sorted(told.scored.missing.items())
        for score, share in sorted(shares.items())
    ]


def _relatives(quality: GenotypeQuality, smallest_cell: int) -> dict[str, int | None]:
    """Return pairs of different patients by relation; null: suppressed. The unrelated are the rest of all pairs."""
    between = quality.pairs.filter(pl.col("patient_1") != pl.col("patient_2"))
    counts = {name: between.filter(pl.col("relation") == name).height for name in RELATIONS[:3]}
    people = quality.samples.height
    rest = max(people * (people - 1) // 2 - sum(counts.values()), 0)
    cells = np.array([[count] for count in counts.values() if count] + [[rest]], dtype=np.int64)
    hidden = iter(hidden_cells(cells, smallest_cell)) if smallest_cell else iter([np.False_] * len(cells))
    return {name: None if count and next(hidden) else count for name, count in counts.items()}


def _relative_words(quality: GenotypeQuality, smallest_cell: int) -> list[str]:
    pairs = _relatives(quality, smallest_cell)
    words = []
    twice = pairs["duplicate"]
    if twice is None or twice > 0:
        many = "Pairs" if twice is None else f"{twice:,} pair{'s' if twice > 1 else ''}"
        words.append(
            f"{many} of samples under two patients' ids are genetically one person, or identical twins: look at relatives.parquet "
            "and mend the ids where it is one person."
        )
    if any(count is None or count > 0 for count in pairs.values()):
        words.append("Relatives, to the second degree, are dealt to one fold together.")
    return words
