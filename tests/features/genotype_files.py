"""Small genotype files of every format with known genotypes, and all genotypes of a file as one table."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pgenlib
from bed_reader import to_bed
from numpy.typing import NDArray

from features.genetics.genotypes import GenotypeFile, Integers
from features.genetics.packing_kernels import unpack_dosages

Floats = NDArray[np.float64]
Variant = tuple[str, int, str, str, str]  # chromosome, position, id, reference, alternatives

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=1,length=249250621>",
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">',
)
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def copies_of_alternative(samples: int, variants: int, *, seed: int = 1, missing: float = 0.1) -> Floats:
    """Copies of the alternative, shape (variants, samples), NaN where missing."""
    random = np.random.default_rng(seed)
    copies = random.integers(0, 3, size=(variants, samples)).astype(float)
    copies[random.random(copies.shape) < missing] = np.nan
    return copies


def plain_variants(count: int) -> list[Variant]:
    return [("1", 100 + 10 * number, f"r{number}", "A", "G") for number in range(count)]


def sample_ids(count: int) -> list[str]:
    return [f"s{number}" for number in range(count)]


def write_bed(prefix: Path, copies: Floats) -> None:
    """Write .bed, .bim and .fam with the alternative as A1."""
    variants, samples = plain_variants(len(copies)), sample_ids(copies.shape[1])
    to_bed(
        prefix.with_name(prefix.name + ".bed"),
        np.ascontiguousarray(copies.T),
        properties={
            "fid": samples,
            "iid": samples,
            "sex": [1 + number % 2 for number in range(len(samples))],
            "chromosome": [variant[0] for variant in variants],
            "sid": [variant[2] for variant in variants],
            "bp_position": [variant[1] for variant in variants],
            "allele_1": [variant[4] for variant in variants],
            "allele_2": [variant[3] for variant in variants],
        },
        num_threads=1,
    )


def write_pgen(prefix: Path, copies: Floats, *, dosages: bool = False) -> None:
    """Write .pgen, .pvar and .psam."""
    variants, samples = plain_variants(len(copies)), sample_ids(copies.shape[1])
    known = np.where(np.isnan(copies), -9, copies)
    with pgenlib.PgenWriter(
        str(prefix.with_name(prefix.name + ".pgen")).encode(),
        len(samples),
        variant_ct=len(variants),
        nonref_flags=False,
        dosage_present=dosages,
    ) as writer:
        for row in known:
            if dosages:
                writer.append_dosages(row.astype(np.float32))
            else:
                writer.append_biallelic(row.astype(np.int8))
    rows = ["\t".join(map(str, variant)) for variant in variants]
    prefix.with_name(prefix.name + ".pvar").write_text(
        "\n".join(["##contig=<ID=1,length=249250621>", "#CHROM\tPOS\tID\tREF\tALT", *rows]) + "\n"
    )
    people = [f"{sample}\t{1 + number % 2}" for number, sample in enumerate(samples)]
    prefix.with_name(prefix.name + ".psam").write_text("\n".join(["#IID\tSEX", *people]) + "\n")


def vcf_text(
    rows: Sequence[tuple[Variant, str, Sequence[str]]], samples: Sequence[str], header: Sequence[str] = HEADER
) -> str:
    """A VCF file of rows: the variant, what stands under FORMAT, and one field a sample."""
    lines = [*header, "\t".join([*COLUMNS, *samples])]
    for (chromosome, position, name, reference, alternatives), form, fields in rows:
        place = (chromosome, str(position), name, reference, alternatives, ".", ".", ".", form)
        lines.append("\t".join([*place, *fields]))
    return "\n".join(lines) + "\n"


def write_vcf(path: Path, copies: Floats) -> None:
    """Write genotypes as a VCF file, packed as its ending says: .vcf, .vcf.gz with gzip, .vcf.bgz with bgzip."""
    words = {0.0: "0/0", 1.0: "0/1", 2.0: "1/1"}
    rows = [
        (variant, "GT", [words.get(value, "./.") for value in row])
        for variant, row in zip(plain_variants(len(copies)), copies.tolist(), strict=True)
    ]
    content = vcf_text(rows, sample_ids(copies.shape[1])).encode()
    path.write_bytes(packed_as(path, content))


def packed_as(path: Path, content: bytes) -> bytes:
    if path.suffix == ".gz":
        packer = zlib.compressobj(wbits=31)
        return packer.compress(content) + packer.flush()
    return bgzip(content) if path.suffix == ".bgz" else content


def bgzip(content: bytes) -> bytes:
    """Pack as bgzip does, a block per 1,000 bytes."""
    blocks = []
    for start in range(0, len(content), 1000):
        part = content[start : start + 1000]
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(part) + packer.flush()
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
        blocks.append(head + body + struct.pack("<II", zlib.crc32(part), len(part)))
    return b"".join(blocks) + BGZIP_END


def copies_of_a1(
    file: GenotypeFile, samples: Integers | None = None, variants: Integers | None = None
) -> NDArray[np.float32]:
    """All genotypes asked for, shape (variants, samples), NaN where missing."""
    people = np.arange(len(file.samples)) if samples is None else samples
    wanted = np.arange(file.variants.height) if variants is None else variants
    copies = np.full((len(wanted), len(people)), -1, dtype=np.float32)
    for block in file.blocks(samples=people, variants=wanted):
        assert (block.packed is None) != (block.dosages is None)
        assert (block.dosages is not None) == file.holds_dosages
        if block.dosages is not None:
            copies[block.part] = block.dosages
        elif block.packed is not None:
            assert block.packed.shape == (block.part.stop - block.part.start, -(-len(people) // 4))
            unpack_dosages(block.packed, copies[block.part])
    return copies
