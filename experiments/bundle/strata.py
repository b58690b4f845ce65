"""A bundle of strata: the frozen model, where its strata lie, and how certain its own patients were."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from experiments.bundle.checking import checked_manifest, model_parts
from experiments.bundle.contents import (
    DEFINITION,
    MANIFEST,
    README,
    REFERENCE,
    STRATA_FORMAT,
    Content,
    Definition,
    Head,
    Line,
    Name,
    Share,
    Summary,
    read_content,
)
from experiments.bundle.packing import seal

REQUIRED = (DEFINITION, MANIFEST, README, REFERENCE, "model/strata.json")
MOST_STRATA, MOST_DIMENSIONS = 100, 1000


class TestSaid(Content):
    """One test of the chain, as the study published it."""

    __test__ = False  # no test of pytest

    test: Name
    status: Name
    reason: Line


class StrataManifest(Head):
    """What a bundle of strata is, and what its study claims of them."""

    format: Literal["psystrata bundle of strata"]
    strata: Name
    clusterer: Name
    number: Annotated[int, Field(ge=2, le=MOST_STRATA)]
    claim: Line
    claimed: bool
    tests: tuple[TestSaid, ...]


class StratumReference(Content):
    """One stratum, or all of them (0), among the patients that the model was fitted on; null where that would be few."""

    stratum: Annotated[int, Field(ge=0, le=MOST_STRATA)]
    n: Annotated[int, Field(ge=0)] | None
    share: Share | None
    probability: Share | None
    entropy: Share | None
    certain: Share | None


class ExtentReference(Content):
    """Where the strata lie among the points: see experiments.stratification.assignment.Extent."""

    centroids: tuple[Annotated[tuple[float, ...], Field(max_length=MOST_DIMENSIONS)], ...]
    limit: Annotated[float, Field(ge=0)]
    beyond: Share


class StrataReference(Content):
    """Aggregates of the patients that the model was fitted on."""

    strata: tuple[StratumReference, ...]
    in_group: tuple[Share | None, ...]
    extent: ExtentReference
    summaries: tuple[Summary, ...]


@dataclass(frozen=True)
class StrataBundle:
    """A bundle of strata whose every byte was checked; `parts` are for StrataModel.from_parts."""

    manifest: StrataManifest
    definition: Definition
    reference: StrataReference
    parts: Mapping[str, bytes]
    fingerprint: str


def seal_strata(files: Mapping[str, bytes], head: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files with their manifest; raises BadInput for a file that no bundle may hold."""
    return seal(files, head, form=STRATA_FORMAT, schema=StrataManifest)


def open_strata(files: Mapping[str, bytes], path: str) -> StrataBundle:
    """Check a bundle's files against its manifest and read them.

    Raises:
        BadInput: one sentence on what was changed, is missing, was added, or is of another format or version.
    """
    return StrataBundle(
        manifest=checked_manifest(files, path, StrataManifest, STRATA_FORMAT, REQUIRED),
        definition=read_content(files, DEFINITION, Definition),
        reference=read_content(files, REFERENCE, StrataReference),
        parts=model_parts(files),
        fingerprint=hashlib.sha256(files[MANIFEST]).hexdigest(),
    )
