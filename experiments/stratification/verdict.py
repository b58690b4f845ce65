"""The chain of tests that a claim of strata must pass, declared beforehand, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["passed", "failed", "not_possible", "not_asked"]

CHAIN = ("one_group", "number", "stability", "replication", "value")
CONTINUUM = "no clusters: a continuum"


@dataclass(frozen=True)
class Figure:
    """One figure of a test.

    Attributes:
        name: such as p_copula.
        estimate: the figure; None where it could not be computed.
        threshold: what it is held against, from the study file; None: reported beside, decides nothing.
        passed: whether it meets its threshold; None where it decides nothing, or where there is no estimate.
        lower: bound of its 95 % interval; None without.
        upper: the other bound.
        n: how many draws, resamples or patients it stands on.
    """

    name: str
    estimate: float | None
    threshold: float | None = None
    passed: bool | None = None
    lower: float | None = None
    upper: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class TestResult:
    """One test of the chain.

    Attributes:
        name: one of CHAIN.
        status: passed, failed, not_possible (the data do not allow it) or not_asked.
        reason: one sentence with the figures that decided.
        figures: all of them.
    """

    __test__ = False  # no test of pytest

    name: str
    status: Status
    reason: str
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the whole chain says.

    Attributes:
        claim: "no clusters: a continuum"; or k strata, with the first required test that they failed, or with the required tests that
            the data did not allow.
        k: number of strata that were looked at; 1 where there are none.
        claimed: there are strata, and no required test failed; those that the data did not allow are named in the claim.
        tests: in the order of CHAIN.
    """

    claim: str
    k: int
    claimed: bool
    tests: tuple[TestResult, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return what the summary file holds."""
        return {
            "claim": self.claim,
            "k": self.k,
            "claimed": self.claimed,
            "tests": [{"test": one.name, "status": one.status, "reason": one.reason} for one in self.tests],
        }


_FAILED = {
    "stability": "not stable",
    "replication": "not replicated elsewhere",
    "value": "no value beyond continuous scores of the same variables",
}


def results_of(summary: Mapping[str, Any]) -> tuple[TestResult, ...]:
    """Return the tests of a summary file, without their figures, which stand in the table of tests."""
    return tuple(TestResult(item["test"], item["status"], item["reason"]) for item in summary["tests"])


def verdict(k: int, tests: Sequence[TestResult], required: Sequence[str]) -> Verdict:
    """Return what the tests say together.

    Strata are claimed where no required test failed. The first two tests say whether there are any: where one of them
    fails, or the number is one, the answer is a continuum, whatever else was asked. A test that the data do not allow
    (one country, no outcome) is named in the claim and does not count as passed or failed.

    Args:
        k: the number of strata found by the test `number`.
        tests: results of the tests that were run.
        required: names of the tests that a claim needs, of CHAIN.
    """
    ordered = tuple(sorted(tests, key=lambda one: CHAIN.index(one.name)))
    by_name = {one.name: one for one in ordered}
    none = any(name in by_name and by_name[name].status != "passed" for name in ("one_group", "number"))
    if k == 1 or none:
        return Verdict(CONTINUUM, 1, False, ordered)
    counted = [one for one in ordered if one.name in required]
    failed = next((one for one in counted if one.status == "failed"), None)
    if failed is not None:
        return Verdict(f"{k} strata, {_FAILED[failed.name]}", k, False, ordered)
    open_tests = [one.name for one in counted if one.status == "not_possible"]
    more = f" (not tested here: {', '.join(open_tests)})" if open_tests else ""
    return Verdict(f"{k} strata{more}", k, True, ordered)
