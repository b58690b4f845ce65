"""Several genotype files with different variants of the same samples, such as one a chromosome, as one file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.genotypes import GenotypeBlock, GenotypeFile, Integers


@dataclass(frozen=True)
class GroupedFiles:
    """Files of the same samples, one after the other; a GenotypeFile.

    Attributes:
        files: each at least one.
        places: of the first file's samples in each file, shape (files, samples).
        others: see GenotypeFile; samples stand in the order of the first file.
    """

    files: tuple[GenotypeFile, ...]
    places: Integers
    variants: pl.DataFrame
    genome_build: str | None
    male: NDArray[np.bool_] | None

    @property
    def name(self) -> str:
        """The names of the files."""
        return ", ".join(file.name for file in self.files)

    @property
    def samples(self) -> tuple[str, ...]:
        """See GenotypeFile."""
        return self.files[0].samples

    @property
    def holds_dosages(self) -> bool:
        """Tell whether any file holds dosages; then blocks of all files are dosages."""
        return any(file.holds_dosages for file in self.files)

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        """Read genotypes file by file; see GenotypeFile."""
        ends = np.cumsum([file.variants.height for file in self.files])
        for file, places, end in zip(self.files, self.places, ends, strict=True):
            first = end - file.variants.height
            low, high = (int(place) for place in np.searchsorted(variants, [first, end]))
            if low == high:
                continue
            inside = places[samples]
            order = np.argsort(inside)
            for block in file.blocks(samples=inside[order], variants=variants[low:high] - first):
                part = slice(low + block.part.start, low + block.part.stop)
                yield self._block(part, block, np.argsort(order))

    def _block(self, part: slice, block: GenotypeBlock, order: Integers) -> GenotypeBlock:
        """Put the samples into the first file's order, and make dosages where another file holds some."""
        from features.genetics.packing_kernels import take_samples, unpack_dosages

        sorted_already = bool((np.diff(order) > 0).all())
        if block.dosages is not None:
            dosages = block.dosages if sorted_already else block.dosages[:, order]
            return GenotypeBlock(part, dosages=dosages)
        packed = block.packed
        if packed is None:
            raise TypeError("a block holds neither hard calls nor dosages")
        if not sorted_already:
            taken = np.empty_like(packed)
            take_samples(packed, order, taken)
            packed = taken
        if not self.holds_dosages:
            return GenotypeBlock(part, packed=packed)
        dosages = np.empty((len(packed), len(order)), dtype=np.float32)
        unpack_dosages(packed, dosages)
        return GenotypeBlock(part, dosages=dosages)


def group_files(files: Sequence[GenotypeFile]) -> GenotypeFile:
    """Make one genotype file of several; a single one is given back.

    Raises:
        BadInput: the files hold different samples or state different genome builds.
    """
    if len(files) == 1:
        return files[0]
    first = files[0]
    problems = []
    for file in files[1:]:
        missing, added = (
            len(set(first.samples) - set(file.samples)),
            len(set(file.samples) - set(first.samples)),
        )
        if missing or added:
            problems.append(
                f"{file.name}: the files of one group must hold the same samples, but {missing} of {first.name} are missing "
                f"here and {added} stand only here; list files of different people on their own under files."
            )
    builds = sorted({file.genome_build for file in files if file.genome_build is not None})
    if len(builds) > 1:
        problems.append(
            f"{', '.join(file.name for file in files)}: the files of one group state different genome builds "
            f"({', '.join(builds)}); bring them to one build."
        )
    if problems:
        raise BadInput(*problems)
    places = []
    for file in files:
        place = {sample: number for number, sample in enumerate(file.samples)}
        places.append([place[sample] for sample in first.samples])
    variants = pl.concat([file.variants for file in files]).with_columns(
        variant=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    aligned = np.array(places, dtype=np.int64)
    return GroupedFiles(tuple(files), aligned, variants, builds[0] if builds else None, _male(files, aligned))


def _male(files: Sequence[GenotypeFile], places: Integers) -> NDArray[np.bool_] | None:
    """Who is male by any of the files, in the order of the first."""
    told = [file.male[order] for file, order in zip(files, places, strict=True) if file.male is not None]
    return np.logical_or.reduce(told) if told else None
