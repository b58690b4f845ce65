"""Open a genotype file of any format that is read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from features.errors import BadInput
from features.genetics.bed import open_bed
from features.genetics.genotypes import GenotypeFile
from features.genetics.grouped import group_files
from features.genetics.pgen import open_pgen
from features.genetics.vcf import open_vcf

_VCF_ENDINGS = (".vcf", ".vcf.gz", ".vcf.bgz")
_PREFIXES: Mapping[str, Callable[[Path, str], GenotypeFile]] = {
    ".bed": lambda prefix, name: open_bed(prefix, name=name),
    ".pgen": lambda prefix, name: open_pgen(prefix, name=name),
}


def open_genotypes(source: Path, entry: str | Sequence[str], *, field: str | None = None) -> GenotypeFile:
    """Open one genotype file, or several with different variants of the same samples as one.

    Args:
        source: the study's source folder.
        entry: a path relative to it: the prefix of PLINK 1 files (.bed, .bim, .fam) or PLINK 2 files (.pgen, .pvar or
            .pvar.zst, .psam), such a prefix with .bed or .pgen where both stand there, or a VCF file; or several of them.
        field: of VCF files, GT or DS; None: DS where every variant has it, otherwise GT.

    Raises:
        BadInput: a file does not exist, is of no known format, is damaged, or the files do not belong together.
    """
    if isinstance(entry, str):
        return _open(source, entry, field)
    files: list[GenotypeFile] = []
    problems: list[str] = []
    for one in entry:
        try:
            files.append(_open(source, one, field))
        except BadInput as bad:
            problems += bad.problems
    if problems:
        raise BadInput(*problems)
    return group_files(files)


def _open(source: Path, entry: str, field: str | None) -> GenotypeFile:
    try:
        return _by_format(source, entry, field)
    except OSError:
        raise BadInput(
            f"{entry}: the genotype file cannot be read; check that it is a file and that you may read it."
        ) from None


def _by_format(source: Path, entry: str, field: str | None) -> GenotypeFile:
    if entry.lower().endswith(_VCF_ENDINGS):
        return open_vcf(source / entry, name=entry, field=field)
    if entry.lower().endswith(".bcf"):
        raise BadInput(f"{entry}: BCF is not read; write it as VCF with `bcftools view -Oz`.")
    for ending, opened in _PREFIXES.items():
        if entry.lower().endswith(ending):
            prefix = entry[: -len(ending)]
            return opened(source / prefix, prefix)
    found = [ending for ending in _PREFIXES if (source / f"{entry}{ending}").is_file()]
    if len(found) == 1:
        return _PREFIXES[found[0]](source / entry, entry)
    if found:
        raise BadInput(
            f"{entry}: both {entry}.bed and {entry}.pgen stand there; name the one to read with its ending under files."
        )
    raise BadInput(
        f"{entry}: no genotype file of this name: neither {entry}.bed nor {entry}.pgen exists, and the name does not end with "
        ".vcf or .vcf.gz; mend it under files."
    )
