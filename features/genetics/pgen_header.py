"""The header of a .pgen file, read before the file is handed to a library that trusts it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput

_MAGIC = b"\x6c\x1b"
_START_BYTES = 12
_PLINK_1, _FIXED_HARD_CALLS, _VARIABLE = 0x01, 0x02, 0x10
_FIXED_DOSAGES = (0x03, 0x04)
_DOSAGE_BITS = 0x60
_VARIANTS_PER_BLOCK = 65_536


@dataclass(frozen=True)
class PgenHeader:
    """What a .pgen file says of itself.

    Attributes:
        variants: their number.
        samples: their number.
        holds_dosages: some record holds dosages.
    """

    variants: int
    samples: int
    holds_dosages: bool


def read_pgen_header(path: Path, shown: str) -> PgenHeader:
    """Read the header and check that the records it announces fill the file exactly.

    Format: the PGEN specification of plink2 (Chang et al., GigaScience 2015, 4:7, doi:10.1186/s13742-015-0047-8).

    Raises:
        BadInput: the file is no .pgen file, of a kind that is not read, cut short, or contradicts itself.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if len(start) < _START_BYTES or start[:2] != _MAGIC:
        raise BadInput(f"{shown}: this is not a PLINK 2 .pgen file (its first bytes differ).")
    mode, control = start[2], start[11]
    if mode == _PLINK_1:
        raise BadInput(f"{shown}: this is a PLINK 1 .bed file; name it .bed, with its .bim and .fam.")
    variants, samples = (int(number) for number in np.frombuffer(start[3:11], dtype="<u4"))
    size = path.stat().st_size
    if mode == _FIXED_HARD_CALLS:
        _refuse_size(shown, size, _START_BYTES + variants * -(-samples // 4))
        return PgenHeader(variants, samples, holds_dosages=False)
    if mode in _FIXED_DOSAGES:
        values = 2 if mode == _FIXED_DOSAGES[0] else 4
        _refuse_size(shown, size, _START_BYTES + variants * (-(-samples // 4) + values * samples))
        return PgenHeader(variants, samples, holds_dosages=True)
    if mode != _VARIABLE or control & 15 > 7:
        raise BadInput(
            f"{shown}: a .pgen file of a kind that is not read; write it again with `plink2 --pfile ... --make-pgen`."
        )
    index = np.fromfile(path, dtype=np.uint8, count=min(size, _largest_index(variants)), offset=_START_BYTES)
    return PgenHeader(variants, samples, _variable_width(index, variants, control, size, shown))


def _variable_width(index: NDArray[np.uint8], variants: int, control: int, size: int, shown: str) -> bool:
    """Tell whether some record holds dosages; refuse records that do not fill the file."""
    blocks = -(-variants // _VARIANTS_PER_BLOCK)
    wide, length_bytes = bool(control & 4), (control & 3) + 1
    allele_bytes, flagged = (control >> 4) & 3, control >> 6 == 3
    starts = index[: 8 * blocks].view("<u8") if len(index) >= 8 * blocks else np.empty(0, "<u8")
    place, dosages, ends = 8 * blocks, False, []
    for block, start in enumerate(starts):
        count = min(_VARIANTS_PER_BLOCK, variants - block * _VARIANTS_PER_BLOCK)
        types = index[place : place + (count if wide else -(-count // 2))]
        place += len(types)
        lengths = index[place : place + count * length_bytes]
        place += len(lengths) + count * allele_bytes + (-(-count // 8) if flagged else 0)
        dosages |= wide and bool((types & _DOSAGE_BITS).any())
        if len(lengths) < count * length_bytes:
            break
        each = lengths.reshape(count, length_bytes).astype(np.int64) @ (256 ** np.arange(length_bytes))
        ends.append(int(start) + int(each.sum()))
    begins = [*(int(start) for start in starts[1:]), size]
    if len(ends) < blocks or not blocks or int(starts[0]) != _START_BYTES + place or ends != begins:
        raise BadInput(
            f"{shown}: the file is cut short or its header is damaged: the records it announces do not fill it; copy "
            "it again."
        )
    return dosages


def _largest_index(variants: int) -> int:
    """Bytes that the index of record types, lengths, allele counts and flags has at most."""
    return 8 * -(-variants // _VARIANTS_PER_BLOCK) + 10 * variants


def _refuse_size(shown: str, found: int, expected: int) -> None:
    if found != expected:
        raise BadInput(f"{shown}: {found} bytes, but its header announces {expected}; copy the file again.")
