"""Simulated genotypes and polygenic weights: PLINK 1 files and PGS Catalog scoring files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.seeds import seed_for
from pipeline.simulation.dials import NETWORKS, Simulation
from pipeline.simulation.world import Array

TRAITS = ("schizophrenia", "bipolar", "depression", "crp", "bmi")
WEIGHTED = 0.4  # share of variants that carry a weight, per trait
NOT_GENOTYPED, COMPLEMENTED = (
    0.05,
    0.04,
)  # shares of weighted variants absent from the chip; on the other strand
CASE_SHIFT = 0.5  # SD by which a network's patients lie above the others in their own score
COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}
PAIRS = (
    "AC",
    "AG",
    "CA",
    "CT",
    "GA",
    "GT",
    "TC",
    "TG",
    "AT",
    "TA",
    "CG",
    "GC",
)  # the last four are palindromic
NETWORK_TRAITS = {
    "schizophrenia": "schizophrenia",
    "bipolar": "bipolar",
    "treatment_resistant_depression": "depression",
}
BUILD = "GRCh38"
MISSING = -127  # bed_reader's missing genotype in whole numbers


@dataclass(frozen=True)
class Panel:
    """The variants of the world; alleles are those of the BIM file, `first` the counted one (A1).

    Attributes:
        variants: name, chromosome, position, first, second, frequency of `first`.
        weights: trait -> weight per copy of `first`, 0 for variants without a weight.
    """

    variants: pl.DataFrame
    weights: Mapping[str, Array]

    def standardise(self, dosages: Array, trait: str) -> Array:
        """Return scores of mean 0 and SD 1 under Hardy-Weinberg proportions."""
        frequency = self.variants["frequency"].to_numpy()
        mean = 2 * frequency @ self.weights[trait]
        spread = np.sqrt((2 * frequency * (1 - frequency)) @ self.weights[trait] ** 2)
        return np.asarray((dosages @ self.weights[trait] - mean) / spread, dtype=np.float64)


def make_panel(dials: Simulation, seed: int) -> Panel:
    """Return the variants and true weights of this world."""
    draw = np.random.default_rng(seed_for(seed, "simulation", "panel"))
    count = dials.variants
    chromosome = np.sort(draw.integers(1, 23, count))
    position = draw.integers(50_000, 60_000_000, count)
    order = np.lexsort((position, chromosome))
    pairs = draw.choice(len(PAIRS), size=count, p=[0.11] * 8 + [0.03] * 4)
    variants = pl.DataFrame(
        {
            "name": [f"rs{900_000_000 + number}" for number in range(count)],
            "chromosome": chromosome[order].astype(str),
            "position": position[order] + np.arange(count),  # no position stands twice
            "first": [PAIRS[pair][0] for pair in pairs],
            "second": [PAIRS[pair][1] for pair in pairs],
            "frequency": draw.uniform(0.08, 0.92, count),
        }
    )
    weights = {
        trait: np.where(draw.random(count) < WEIGHTED, draw.normal(0, 0.02, count), 0.0) for trait in TRAITS
    }
    return Panel(variants, weights)


def draw_dosages(panel: Panel, network: NDArray[np.str_], draw: Generator) -> NDArray[np.int8]:
    """Draw copies of the first allele, patients x variants; patients carry more of their own network's risk alleles."""
    frequency = panel.variants["frequency"].to_numpy()
    dosages = np.empty((len(network), len(frequency)), dtype=np.int8)
    for name in NETWORKS:
        rows = network == name
        weights = panel.weights.get(NETWORK_TRAITS.get(name, ""), None)
        shifted = frequency if weights is None else tilted(frequency, weights, CASE_SHIFT)
        dosages[rows] = draw.binomial(2, shifted, size=(int(rows.sum()), len(frequency)))
    return dosages


def write_plink(
    panel: Panel, dosages: NDArray[np.int8], samples: pl.DataFrame, prefix: Path, *, chromosome: str = ""
) -> None:
    """Write <prefix>.bed, .bim and .fam.

    Args:
        panel: variants.
        dosages: samples x variants, copies of the first allele, MISSING where not called.
        samples: sample_id and sex.
        prefix: path without suffix.
        chromosome: what stands before the chromosomes' names.
    """
    from bed_reader import to_bed

    variants = panel.variants
    to_bed(
        prefix.with_suffix(".bed"),
        dosages,
        properties={
            "fid": samples["sample_id"].to_list(),
            "iid": samples["sample_id"].to_list(),
            "sex": [{"male": 1, "female": 2}.get(sex, 0) for sex in samples["sex"]],
            "chromosome": [f"{chromosome}{name}" for name in variants["chromosome"]],
            "sid": variants["name"].to_list(),
            "bp_position": variants["position"].to_list(),
            "allele_1": variants["first"].to_list(),
            "allele_2": variants["second"].to_list(),
        },
        num_threads=1,
    )


def scoring_file(panel: Panel, trait: str, seed: int) -> tuple[str, dict[str, int]]:
    """Return a PGS Catalog scoring file (format 2.0) as text, and the counts of what a reader has to cope with.

    Half of the variants name the second allele as the effect allele (with the sign turned), some lie on the other
    strand, some are not on the chip at all.
    """
    draw = np.random.default_rng(seed_for(seed, "simulation", "scoring file", trait))
    weights = panel.weights[trait]
    chosen = np.flatnonzero(weights)
    flipped, strand = draw.random(len(chosen)) < 0.5, draw.random(len(chosen)) < COMPLEMENTED
    first, second = panel.variants["first"].to_list(), panel.variants["second"].to_list()
    frequency = panel.variants["frequency"].to_list()
    lines = []
    counts = {"weighted": len(chosen), "flipped": 0, "other_strand": 0, "palindromic": 0, "not_genotyped": 0}
    for index, turn, complement in zip(chosen.tolist(), flipped.tolist(), strand.tolist(), strict=True):
        effect, other = (second[index], first[index]) if turn else (first[index], second[index])
        palindromic = COMPLEMENT[effect] == other
        turned = complement and not palindromic  # it would look like a flip: no file could tell
        if turned:
            effect, other = COMPLEMENT[effect], COMPLEMENT[other]
        weight = -weights[index] if turn else weights[index]
        share = 1 - frequency[index] if turn else frequency[index]
        row = panel.variants.row(index, named=True)
        place = (row["name"], row["chromosome"], row["position"])
        lines.append(_line(place, effect, other, weight=weight, share=share))
        counts["flipped"] += turn
        counts["other_strand"] += turned
        counts["palindromic"] += palindromic
    absent = round(NOT_GENOTYPED * len(chosen))
    counts["not_genotyped"] = absent
    for number in range(absent):
        place = (f"rs{990_000_000 + number}", "22", 70_000_000 + number)
        lines.append(_line(place, "A", "G", weight=float(draw.normal(0, 0.02)), share=0.3))
    return "\n".join([*_header(trait, len(lines)), *lines]) + "\n", counts


def score_id(trait: str) -> str:
    """Return the identifier under which the scoring file stands."""
    return f"PGS9{TRAITS.index(trait) + 1:05d}"


def _header(trait: str, variants: int) -> list[str]:
    return [
        "###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org/downloads/#dl_ftp_scoring for additional information",
        "#format_version=2.0",
        "##POLYGENIC SCORE (PGS) INFORMATION",
        f"#pgs_id={score_id(trait)}",
        f"#pgs_name=simulated_{trait}",
        f"#trait_reported={trait} (SIMULATED weights of a simulated world; no score of the Catalog, of no use for people)",
        f"#genome_build={BUILD}",
        f"#variants_number={variants}",
        "#weight_type=beta",
        "##SOURCE INFORMATION",
        "#citation=simulated by psystrata",
        "rsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\tallelefrequency_effect",
    ]


def _line(place: tuple[str, str, int], effect: str, other: str, *, weight: float, share: float) -> str:
    name, chromosome, position = place
    return f"{name}\t{chromosome}\t{position}\t{effect}\t{other}\t{weight:.8f}\t{share:.4f}"


def tilted(frequency: Array, weights: Array, shift: float) -> Array:
    """Return frequencies that raise the mean score by `shift` standard deviations (to first order)."""
    variance = 2 * frequency * (1 - frequency)
    spread = np.sqrt(variance @ weights**2)
    moved = shift * weights * variance / (2 * spread)
    return np.asarray(np.clip(frequency + moved, 0.001, 0.999), dtype=np.float64)
