"""What cards say of polygenic scores: where they come from, how much of them was found, ancestry, and what nobody has checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import smallest_published
from experiments.genetics.schemas import ScoreSummary
from pipeline.cards.flow import Table
from pipeline.cards.genetic_tables import (
    FORMS,
    ancestry_table,
    file_table,
    match_table,
    relative_table,
    sample_flow,
    score_table,
    summary_table,
    variant_flow,
)
from pipeline.cards.section import Section, drawn
from pipeline.cards.tripod import NEEDS_INPUT
from pipeline.files import read_json, read_table
from pipeline.settings.study import Study

PREFIX = "genetic_"
WHAT = (
    "A polygenic score adds up, over many places of the genome, how many copies of an allele a person carries, each times a "
    "weight that another study estimated. The weights are frozen: no weight and no p-value threshold was chosen on this "
    "cohort. Which samples and variants can be relied on, and who is related to whom, was settled once over all patients, those who "
    "are tested among them, without their outcomes; only the test of Hardy-Weinberg proportions looks at who is a control, where "
    "controls are declared. A score says little of one person by itself; what it adds to a model is what the figures of this card compare."
)
OVERLAP = (
    "Whether people of this cohort took part in the genome-wide studies that the weights come from is not checked by any program, "
    f"and if they did the scores look better than they are: {NEEDS_INPUT}, score by score."
)
PORTABILITY = (
    "Weights estimated in one ancestry predict less in others, and means and spreads of a score differ between ancestries for "
    "reasons that have nothing to do with the illness (Martin 2019, doi 10.1038/s41588-019-0379-x). Normalisation evens out means "
    "and spreads, not accuracy: whether the scores' weights suit the patients of this study "
    f"{NEEDS_INPUT}."
)
FIGURES = {
    "scores": "Scores by network and by ancestry: middle half, 5th to 95th percentile",
    "matches": "Share of each score's variants found in each genotype file, and why the others were not",
}
COHORT_FIGURES = {
    "components": "Patients among the reference populations, darker where more; squares of few stay blank (ellipses hold 95 % of a population)",
    "samples": "Call rate and heterozygosity of samples; dashed: thresholds",
    "relatives": "Related pairs of samples",
}
NORMALISED = {
    "mean": "the mean of a score, given ancestry components, is taken off, and the rest divided by its standard deviation in the reference",
    "mean_variance": "mean and variance of a score, given ancestry components, are both evened out by those of the reference",
}
PALINDROMIC = {
    "drop": "Variants whose alleles read alike on both strands (A/T, C/G) are left out.",
    "keep": "Variants whose alleles read alike on both strands (A/T, C/G) are taken as written: a file on the other strand would turn them.",
    "frequency": "Of variants whose alleles read alike on both strands (A/T, C/G), the strand is read from declared allele frequencies; those too near to one half are left out.",
}
FILLED = {
    "mean": "twice the allele's frequency (plink2's mean imputation)",
    "none": "nothing: the score is the average over called alleles times their number (plink2's no-mean-imputation)",
    "hardy_weinberg": "what the allele's frequency lets expect under Hardy-Weinberg equilibrium",
}
SOURCES = {
    "scoring_file": "frequencies stated by the scoring file; without one the genotype is left out",
    "cohort": "frequencies counted in each training fold",
}


def genetic_section(study: Study, outcome: str, learner: str, workspace: Path) -> Section | None:
    """Return the section on genetics of a card whose learner uses genetic columns; None otherwise."""
    if "genetic" not in study.feature_sets:
        return None
    used = read_json(workspace / "train" / outcome / learner / "final.json")["columns"]
    own = sorted(name for name in used if name.startswith(PREFIX))
    if not own:
        return None
    folder = workspace / "genotypes"
    report = read_json(folder / "report.json")
    scores = [item["score"] for item in report["scores"] if _uses(own, item["score"])]
    summary = read_table(folder / "summary.parquet", ScoreSummary).filter(pl.col("score").is_in(scores))
    words = (
        WHAT,
        f"This model uses: {', '.join(column_words(name, report) for name in own)}.",
        *(scored_words(item, report) for item in report["scores"] if item["score"] in scores),
        PALINDROMIC[report["settings"]["palindromic"]],
        missing_words(report),
        ancestry_words(report),
        *(f"Take care: {warning}" for warning in report["warnings"]),
        OVERLAP,
        PORTABILITY,
    )
    return Section(
        "genetic",
        "Polygenic scores",
        words,
        tables=(
            ("Scores and their sources", score_table(report)),
            ("Variants of each score in each genotype file", match_table(report, scores)),
            (
                "Scores by network and ancestry",
                summary_table(summary),
            ),
        ),
        figures=drawn(folder / "figures", FIGURES),
        links={"Quality control, relatives and ancestry": "../../index/cohort.html#genotypes"},
    )


def genetic_of_cohort(study: Study, workspace: Path) -> Section:
    """Return what the cohort's page says of genotypes: quality control, relatives, ancestry."""
    folder = workspace / "genotypes"
    report = read_json(folder / "report.json")
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    flow = read_json(folder / "flow.json")
    tables: list[tuple[str, Table]] = []
    if report["files"]:
        tables = [
            ("Samples", sample_flow(flow, smallest)),
            ("Variants", variant_flow(flow)),
            ("Genotype files", file_table(report)),
            ("Related pairs of samples", relative_table(report)),
            ("Ancestry by network", ancestry_table(read_table(folder / "summary.parquet", ScoreSummary))),
        ]
    words = (report["sentence"], *report.get("quality_words", ()), *report.get("relative_words", ()))
    return Section(
        "genotypes",
        "Genotypes",
        words,
        tables=tuple((caption, rows) for caption, rows in tables if rows),
        figures=drawn(folder / "figures", COHORT_FIGURES),
    )


def _uses(columns: list[str], score: str) -> bool:
    names = {
        f"{PREFIX}{score}",
        f"{PREFIX}{score}_raw",
        *(f"{PREFIX}{score}_ancestry_{form}" for form in FORMS),
    }
    return not names.isdisjoint(columns)


def column_words(column: str, report: Mapping[str, Any]) -> str:
    """Word a column of the set: the score and its form, or the column's own name."""
    for item in report["scores"]:
        for form, words in FORMS.items():
            if column == f"{PREFIX}{item['score']}_ancestry_{form}":
                return f"{item['score']} ({words})"
    return column.removeprefix(PREFIX).replace("_", " ")


def scored_words(item: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Word one score: its source, build, and how much of it was found."""
    found = [match for match in report["matches"] if match["score"] == item["score"]]
    rates = [match["rate"] for match in found]
    weights = [match["weight_share"] for match in found if match["weight_share"] is not None]
    share = f", holding {_percent(weights)} of the sum of absolute weights," if weights else ""
    alike = (
        " in every file alike" if report["settings"]["variants"] == "common" else ", which may differ by file"
    )
    return (
        f"{item['score']}: {item['source']}; {item['rows']:,} variants, genome build {item['genome_build']}. Of these "
        f"{_percent(rates)} matched, file by file; {item['used']:,}{share} entered the score{alike}."
    )


def _percent(shares: list[float]) -> str:
    low, high = 100 * min(shares), 100 * max(shares)
    return f"{low:.1f} %" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} %"


def missing_words(report: Mapping[str, Any]) -> str:
    """Word how missing genotypes were filled, and how many there were."""
    asked = report["settings"]["missing"]
    shares = [item["share"] for item in report["missing"] if item["share"] is not None]
    source = SOURCES.get(asked["frequencies"], f"frequencies of the file {asked['frequencies']}")
    known = f", by {source}" if asked["imputation"] != "none" else ""
    many = f" Missing were {_percent(shares)} of the genotypes that scores stand on." if shares else ""
    return f"A missing genotype counts {FILLED[asked['imputation']]}{known}.{many}"


def ancestry_words(report: Mapping[str, Any]) -> str:
    """Word where components come from, which normalised score is the predictor, and whether components still matter."""
    asked = report["settings"]["ancestry"]
    if asked is None:
        return (
            "Ancestry was not looked at: differences of these scores between centres and countries may be differences of ancestry. "
            "Declare feature_sets.genetic.ancestry before anything is concluded from them."
        )
    if asked["reference"] is None:
        return (
            f"{asked['components']} ancestry components are fitted on pruned variants inside each training fold, and scores are "
            "normalised there as the learner's adjustment says."
        )
    return (
        f"{asked['components']} ancestry components are those of the reference panel {asked['reference']}; each patient is projected onto "
        f"them alone. Both normalised scores are kept; the predictor is the one called {asked['normalise']}: "
        f"{NORMALISED[asked['normalise']]}. What normalisation takes off is linear in the components: where outcomes differ between "
        "ancestries too, components (or centres) remain needed beside the score."
    )
