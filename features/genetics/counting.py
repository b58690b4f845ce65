"""Count the genotypes of one file in one pass: by variant and group of samples, and the missing ones by sample."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.common import hard_calls
from features.genetics.genotypes import NOT_CALLED, ONE_COPY, TWO_COPIES, GenotypeBlock, GenotypeFile
from features.genetics.threads import over_ranges

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

GROUPS = ("everybody", "controls", "women", "female controls", "men")
EVERYBODY, CONTROLS, WOMEN, FEMALE_CONTROLS, MEN = range(5)
LENIENT_CALL_RATE = (
    0.8  # variants called in fewer samples say nothing of the samples' own quality (Marees 2018, step 1)
)


@dataclass(frozen=True)
class People:
    """The samples of one file that belong to patients of the study.

    Attributes:
        places: their places in the file, increasing.
        groups: who belongs to GROUPS, shape (5, samples).
    """

    places: Integers
    groups: Mask

    @classmethod
    def of(cls, known: pl.DataFrame) -> "People":
        """Make the groups of rows with `place`, `sex` and `control`."""
        women = (known["sex"].cast(pl.String) == "female").fill_null(False).to_numpy()
        men = (known["sex"].cast(pl.String) == "male").fill_null(False).to_numpy()
        controls = known["control"].fill_null(False).to_numpy()
        groups = np.stack([np.ones(known.height, dtype=np.bool_), controls, women, women & controls, men])
        return cls(known["place"].cast(pl.Int64).to_numpy(), groups)

    def take(self, chosen: Mask) -> "People":
        """Return some of them."""
        return People(self.places[chosen], self.groups[:, chosen])


@dataclass(frozen=True)
class GenotypeCounts:
    """What one pass over a file counts; hard calls unless said otherwise.

    Attributes:
        codes: genotypes by code within GROUPS, shape (variants, 5, 4); off chromosome X only the first two groups.
        present: samples that have a genotype, or a dosage, shape (variants,).
        copies: copies of a1 among them, dosages where the file holds them, shape (variants,).
        sample_missing: missing genotypes of each sample among `looked_at` variants, shape (samples,).
        looked_at: variants of the autosomes and X that are called in LENIENT_CALL_RATE of the samples.
    """

    codes: NDArray[np.int32]
    present: Integers
    copies: NDArray[np.float64]
    sample_missing: Integers
    looked_at: int

    def without(self, other: "GenotypeCounts") -> "GenotypeCounts":
        """Take the counts of some of the samples away; what is counted by sample stays."""
        return GenotypeCounts(
            self.codes - other.codes,
            self.present - other.present,
            self.copies - other.copies,
            self.sample_missing,
            self.looked_at,
        )


def count_genotypes(file: GenotypeFile, people: People, *, threads: int = 1) -> GenotypeCounts:
    """Count the genotypes of some samples over all variants of a file, out of core.

    Args:
        file: the file.
        people: whom to count; at least one.
        threads: share out the variants, and for counts by sample the samples.

    Raises:
        BadInput: the file turns out not to hold what its index says.
    """
    from features.genetics.counts_kernels import sample_masks

    size, variants = len(people.places), file.variants.height
    chromosome = file.variants["chromosome"]
    on_x = (chromosome == "X").to_numpy()
    judging = (~chromosome.is_in(["Y", "MT"])).to_numpy()
    masks = sample_masks(people.groups)
    codes = np.zeros((variants, len(GROUPS), 4), dtype=np.int32)
    present = np.zeros(variants, dtype=np.int64)
    copies = np.zeros(variants)
    missing = np.zeros(32 * masks.shape[1], dtype=np.int64)
    looked_at = 0
    for block in file.blocks(samples=people.places, variants=np.arange(variants)):
        part = block.part
        words, there, dosage_copies = _words(block, threads)
        _count(words, masks, on_x[part], codes[part], threads)
        everybody = codes[part, EVERYBODY]
        if there is None or dosage_copies is None:
            there, absent = words, everybody[:, NOT_CALLED].astype(np.int64)
            copies[part] = 2 * everybody[:, TWO_COPIES] + everybody[:, ONE_COPY]
        else:
            counted = np.zeros((len(there), len(GROUPS), 4), dtype=np.int32)
            _count(there, masks, np.zeros(len(there), dtype=np.bool_), counted, threads)
            absent = counted[:, EVERYBODY, NOT_CALLED].astype(np.int64)
            copies[part] = dosage_copies
        present[part] = size - absent
        used = judging[part] & (present[part] >= LENIENT_CALL_RATE * size)
        looked_at += int(used.sum())
        _add_missing(there, used, missing, threads)
    return GenotypeCounts(codes, present, copies, missing[:size], looked_at)


def _words(
    block: GenotypeBlock, threads: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64] | None, NDArray[np.float64] | None]:
    """Hard calls as words; of dosages also which are there, and their sums."""
    from features.genetics.counts_kernels import packed_words

    if block.dosages is None:
        assert block.packed is not None
        return packed_words(block.packed), None, None
    calls, present, copies = hard_calls(block.dosages, threads=threads)
    return packed_words(calls), packed_words(present), copies


def _count(
    words: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    on_x: Mask,
    codes: NDArray[np.int32],
    threads: int,
) -> None:
    """Write the counts: all groups on chromosome X, the first two elsewhere."""
    from features.genetics.counts_kernels import genotype_counts

    for rows, groups in ((np.flatnonzero(~on_x), CONTROLS + 1), (np.flatnonzero(on_x), len(GROUPS))):
        if not len(rows):
            continue
        chosen = words if len(rows) == len(words) else words[rows]
        counted = np.empty((len(rows), groups, 4), dtype=np.int64)

        def count(
            start: int,
            stop: int,
            chosen: NDArray[np.uint64] = chosen,
            groups: int = groups,
            counted: Integers = counted,
        ) -> None:
            genotype_counts(chosen, masks[:groups], start, stop, counted)

        over_ranges(count, len(rows), threads=threads)
        codes[rows, :groups] = counted


def _add_missing(there: NDArray[np.uint64], used: Mask, missing: Integers, threads: int) -> None:
    from features.genetics.counts_kernels import add_missing

    over_ranges(
        lambda start, stop: add_missing(there, used, start, stop, missing), there.shape[1], threads=threads
    )
