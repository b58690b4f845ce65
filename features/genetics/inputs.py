"""Open what the genetic set reads, match every score to every genotype file, and refuse what does not belong together."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.builds import build_mismatch, declared_wrongly
from features.genetics.frequencies import read_frequencies
from features.genetics.genotypes import GenotypeFile
from features.genetics.matching import Match, common_lines, match_variants, reasons
from features.genetics.opening import open_genotypes
from features.genetics.scoring import load_kernels
from features.genetics.scoring_files import ScoringFile, read_scoring_file, split_column
from features.genetics.settings import AncestrySettings, GeneticSettings

Floats = NDArray[np.float64]

LARGE_FILE = 16_000_000  # bytes of a scoring file
POPULATIONS = {"sample_id": pl.String, "population": pl.String}


@dataclass(frozen=True)
class GeneticInputs:
    """Everything that the settings name, opened.

    Attributes:
        files: the cohort's genotype files by name, sorted.
        scoring: the scores by name, sorted.
        reference: the genotypes of the reference panel; None: none is declared.
        populations: population of each sample of the reference, in its order, null where the table names none; None: no table.
    """

    files: tuple[GenotypeFile, ...]
    scoring: tuple[ScoringFile, ...]
    reference: GenotypeFile | None = None
    populations: pl.Series | None = None

    @property
    def all_files(self) -> tuple[GenotypeFile, ...]:
        """The cohort's files, and the reference where there is one."""
        return self.files if self.reference is None else (*self.files, self.reference)


@dataclass(frozen=True)
class MatchedScores:
    """Every score matched to every genotype file.

    Attributes:
        whole: by file name, the matches in the order of the scores, as found.
        used: the same, with the rows that enter the score: under `variants: common` those matched in every file.
    """

    whole: Mapping[str, tuple[Match, ...]]
    used: Mapping[str, tuple[Match, ...]]


def read_inputs(source: Path, settings: GeneticSettings, *, threads: int = 1) -> GeneticInputs:
    """Open every genotype file, scoring file and table of populations; the problems of all of them at once.

    Args:
        source: the study's source folder.
        settings: which files.
        threads: scoring files read at once, while another thread loads the compiled loops of scoring.

    Raises:
        BadInput: files cannot be used, or a sample id stands in more than one genotype file.
    """
    problems: list[str] = []
    files: list[GenotypeFile] = []
    scoring: list[ScoringFile] = []
    for entry in settings.files:
        try:
            files.append(open_genotypes(source, entry, field=settings.vcf_field))
        except BadInput as bad:
            problems += bad.problems
    for found in _scoring_files(source, settings, threads):
        if isinstance(found, BadInput):
            problems += found.problems
        else:
            scoring.append(found)
    reference, populations = None, None
    try:
        reference, populations = _reference(source, settings.ancestry, settings.vcf_field)
    except BadInput as bad:
        problems += bad.problems
    problems += _twice(files)
    if problems:
        raise BadInput(*problems)
    files.sort(key=lambda file: file.name)
    return GeneticInputs(tuple(files), tuple(scoring), reference, populations)


def at_once(paths: Sequence[Path], threads: int) -> int:
    """Return how many scoring files to read at once: large ones one by one, as each takes several times its size to read."""
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return max(1, threads) if max(sizes, default=0) <= LARGE_FILE else 1


def _scoring_files(source: Path, settings: GeneticSettings, threads: int) -> list[ScoringFile | BadInput]:
    """Read every scoring file in the order of names; what is wrong with one stands in its place."""

    def read(item: tuple[str, str]) -> ScoringFile | BadInput:
        name, path = item
        try:
            return read_scoring_file(source / path, name=name, shown=path)
        except BadInput as bad:
            return bad

    paths = [source / split_column(path)[0] for path in settings.scores.values()]
    with ThreadPoolExecutor(at_once(paths, threads)) as pool:
        loaded = pool.submit(load_kernels) if threads > 1 else None
        found = list(pool.map(read, sorted(settings.scores.items())))
        if loaded is not None:
            loaded.result()
    return found


def match_scores(
    inputs: GeneticInputs,
    settings: GeneticSettings,
    frequencies: Mapping[str, Floats] | None = None,
) -> MatchedScores:
    """Match every score to every genotype file.

    Args:
        inputs: what was opened.
        settings: the policy of palindromic variants, the least match, and whether files share their variants.
        frequencies: by file name, of a1 by variant, NaN where not known, for `palindromic: frequency`.

    Raises:
        BadInput: a score is in another genome build than a file, or matches it too little; all of them are listed.
    """
    whole = {
        file.name: tuple(
            match_variants(
                score,
                file.variants,
                palindromic=settings.palindromic,
                frequencies=_table(file, frequencies),
            )
            for score in inputs.scoring
        )
        for file in inputs.all_files
    }
    refuse_low_match(inputs, whole, settings)
    if settings.variants == "each":
        return MatchedScores(whole, whole)
    shared = [
        common_lines([of_file[place] for of_file in whole.values()]) for place in range(len(inputs.scoring))
    ]
    used = {
        name: tuple(match.restricted(lines) for match, lines in zip(of_file, shared, strict=True))
        for name, of_file in whole.items()
    }
    return MatchedScores(whole, used)


def read_declared_frequencies(
    source: Path, settings: GeneticSettings, inputs: GeneticInputs
) -> dict[str, Floats]:
    """Return by file name the frequency of a1 by variant in the declared frequency file; empty where none is declared."""
    if settings.missing.file is None:
        return {}
    known = read_frequencies(source / settings.missing.file, shown=settings.missing.file)
    return {file.name: known.of_variants(file.variants) for file in inputs.all_files}


def _table(file: GenotypeFile, frequencies: Mapping[str, Floats] | None) -> pl.DataFrame | None:
    if not frequencies:
        return None
    known = file.variants.select("variant").with_columns(
        frequency=pl.Series(frequencies[file.name]).fill_nan(None)
    )
    return known.drop_nulls()


def refuse_low_match(
    inputs: GeneticInputs, matches: Mapping[str, Sequence[Match]], settings: GeneticSettings
) -> None:
    """Refuse scores that match a file too little, naming the other genome build where that is why, and a build declared wrongly."""
    problems = []
    for file in inputs.all_files:
        wrong = declared_wrongly(file.variants, settings.genome_build)
        if wrong is not None:
            problems.append(f"{file.name}: {wrong}; mend genome_build of the genetic set, or leave it out.")
        for score, match in zip(inputs.scoring, matches[file.name], strict=True):
            known = settings.genome_build or file.genome_build
            mismatch = build_mismatch(score, file.variants, known)
            if mismatch is not None:
                problems.append(f"{file.name}: {mismatch}")
            elif match.rate < settings.minimum_match:
                problems.append(
                    f"{file.name}: {match.counts['matched']} of {match.counts['rows']} variants of the score {score.name} "
                    f"match ({match.rate:.1%}, at least {settings.minimum_match:.0%} needed): {reasons(match)}. Check that the "
                    f"genome build of the genotypes is the score's ({score.genome_build}), impute, or choose another score."
                )
    if problems:
        raise BadInput(*problems)


def _reference(
    source: Path, ancestry: AncestrySettings | None, field: str | None
) -> tuple[GenotypeFile | None, pl.Series | None]:
    if ancestry is None or ancestry.reference is None:
        return None, None
    reference = open_genotypes(source, ancestry.reference, field=field)
    if ancestry.populations is None:
        return reference, None
    return reference, _populations(source / ancestry.populations, ancestry.populations, reference)


def _populations(path: Path, shown: str, reference: GenotypeFile) -> pl.Series:
    try:
        table = pl.read_csv(path, separator="\t", infer_schema=False, glob=False)
    except FileNotFoundError:
        raise BadInput(
            f"{shown}: the table of populations does not exist; mend ancestry.populations."
        ) from None
    except pl.exceptions.PolarsError:
        raise BadInput(f"{shown}: this is no tab-separated table with a header row.") from None
    absent = [name for name in POPULATIONS if name not in table.columns]
    if absent:
        raise BadInput(f"{shown}: the table of populations has no column {', '.join(absent)}.")
    twice = int(table["sample_id"].is_duplicated().sum())
    if twice:
        raise BadInput(
            f"{shown}: {twice} rows name a sample that stands more than once; keep one row for each."
        )
    known = pl.DataFrame({"sample_id": reference.samples}).join(
        table.select(*POPULATIONS), on="sample_id", how="left", maintain_order="left"
    )
    if known["population"].null_count() == known.height:
        raise BadInput(f"{shown}: none of its samples stands in {reference.name}; mend ancestry.populations.")
    return known["population"]


def _twice(files: Sequence[GenotypeFile]) -> list[str]:
    samples = [sample for file in files for sample in file.samples]
    again = len(samples) - len(set(samples))
    if not again:
        return []
    return [
        f"genetic: {again} sample id(s) stand in more than one of the genotype files; list files of the same people (such as "
        "one a chromosome) together, [[chr1, chr2], other], or make ids of different people differ."
    ]
