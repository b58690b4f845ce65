"""The genome build that a header states, by the lengths of its contigs or the name of its reference."""

import re
from collections.abc import Iterable

LENGTHS = {  # chromosome: length in GRCh37, in GRCh38 (Genome Reference Consortium; GCF_000001405.25 and .26)
    "1": (249_250_621, 248_956_422),
    "2": (243_199_373, 242_193_529),
    "3": (198_022_430, 198_295_559),
    "4": (191_154_276, 190_214_555),
    "5": (180_915_260, 181_538_259),
    "6": (171_115_067, 170_805_979),
    "7": (159_138_663, 159_345_973),
    "8": (146_364_022, 145_138_636),
    "9": (141_213_431, 138_394_717),
    "10": (135_534_747, 133_797_422),
    "11": (135_006_516, 135_086_622),
    "12": (133_851_895, 133_275_309),
    "13": (115_169_878, 114_364_328),
    "14": (107_349_540, 107_043_718),
    "15": (102_531_392, 101_991_189),
    "16": (90_354_753, 90_338_345),
    "17": (81_195_210, 83_257_441),
    "18": (78_077_248, 80_373_285),
    "19": (59_128_983, 58_617_616),
    "20": (63_025_520, 64_444_167),
    "21": (48_129_895, 46_709_983),
    "22": (51_304_566, 50_818_468),
    "X": (155_270_560, 156_040_895),
    "Y": (59_373_566, 57_227_415),
}
BUILDS = ("GRCh37", "GRCh38")
_NAMES = {"GRCh37": r"grch37|hg19|b37|hs37", "GRCh38": r"grch38|hg38|b38|hs38"}
_CONTIG = re.compile(r"^##contig=<(?:.*,)?ID=(?:chr)?([^,>]+).*?\blength=(\d+)", re.IGNORECASE)


def stated_build(header: Iterable[str]) -> str | None:
    """Tell the build of a VCF or .pvar header: GRCh37, GRCh38, or None where it states none or contradicts itself.

    Args:
        header: its lines that start with ##.
    """
    found: set[str] = set()
    for line in header:
        contig = _CONTIG.match(line)
        if contig and contig[1] in LENGTHS and int(contig[2]) in LENGTHS[contig[1]]:
            found.add(BUILDS[LENGTHS[contig[1]].index(int(contig[2]))])
        named = line.lower() if line.startswith(("##contig", "##reference", "##assembly")) else ""
        found |= {build for build, names in _NAMES.items() if re.search(names, named)}
    return found.pop() if len(found) == 1 else None
