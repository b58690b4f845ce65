"""Scores by plink2, and ours of the same genotypes and weights, for comparing them to the last digit that plink2 prints."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.frequencies import effect_frequencies
from features.genetics.genotypes import GenotypeFile
from features.genetics.matching import Match
from features.genetics.scoring import MissingGenotypes, score_samples
from tests.features.score_genotypes import match_of

Floats = NDArray[np.float64]
DIGITS = 6


@dataclass(frozen=True)
class Weights:
    """Scores of variants of a file, effect alleles on either side, the same for us and for plink2."""

    matches: tuple[Match, ...]
    table: pl.DataFrame  # ID, A1 and a column of weights per score


def random_weights(variants: pl.DataFrame, scores: int, *, mode: str, seed: int = 3) -> Weights:
    """Draw weights; plink2 takes no dominant or recessive ones on X."""
    variants = variants if mode == "additive" else variants.filter(pl.col("chromosome") != "X")
    random = np.random.default_rng(seed)
    weights = random.normal(0, 0.05, (variants.height, scores)).round(6)
    effect_is_a1 = random.random(variants.height) < 0.5
    effect = np.where(effect_is_a1, variants["a1"].to_numpy(), variants["a2"].to_numpy())
    columns = {f"S{score}": weights[:, score] for score in range(scores)}
    matches = tuple(
        match_of(variants["variant"].to_numpy(), one, effect_is_a1=effect_is_a1, mode=mode)
        for one in weights.T
    )
    return Weights(matches, pl.DataFrame({"ID": variants["id"], "A1": effect, **columns}))


def by_plink2(
    plink2: str,
    folder: Path,
    genotypes: Sequence[str],
    weights: Weights,
    *modifiers: str,
    more: Sequence[str] = (),
) -> pl.DataFrame:
    """The .sscore table: S<k>_AVG and S<k>_SUM, in the order of the file."""
    weights.table.write_csv(folder / "weights.txt", separator="\t")
    columns = f"3-{weights.table.width}"
    asked = [plink2, *genotypes, "--threads", "1", "--out", "scores", "--score", "weights.txt", "1", "2"]
    asked += ["header-read", "cols=+scoresums", *modifiers, "--score-col-nums", columns, *more]
    subprocess.run(asked, cwd=folder, check=True, capture_output=True)
    return pl.read_csv(folder / "scores.sscore", separator="\t")


def columns_of(table: pl.DataFrame, scores: int, imputation: str) -> Floats:
    """What plink2 printed: sums, or where missing genotypes are left out averages over called alleles."""
    ending = "AVG" if imputation == "none" else "SUM"
    return table.select(f"S{score}_{ending}" for score in range(scores)).to_numpy()


def ours(file: GenotypeFile, weights: Weights, imputation: str, frequencies: Floats | None) -> Floats:
    """Our scores on the scale of `columns_of`."""
    known = [np.full(match.used.height, np.nan) for match in weights.matches]
    if frequencies is not None:
        known = [effect_frequencies(match, frequencies) for match in weights.matches]
    samples = np.arange(len(file.samples))
    missing = MissingGenotypes(imputation, known)
    values = score_samples(file, weights.matches, samples=samples, missing=missing, threads=2).values
    return values / (2 * weights.table.height) if imputation == "none" else values


def same_digits(found: Floats, printed: Floats) -> bool:
    """Tell whether figures printed with six digits are those found, rounded; a tie may go either way."""
    size = np.abs(np.where(printed == 0, 1e-300, printed))
    unit = 10.0 ** (np.floor(np.log10(size)) + 1 - DIGITS)
    near_nothing = 1e-14 * (1 + np.abs(printed).max())
    return bool((np.abs(found - printed) <= 0.5 * unit * (1 + 1e-6) + near_nothing).all())
