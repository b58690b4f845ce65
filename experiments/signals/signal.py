"""One signal: what was found before fitting, what would be expected, and how much concern it raises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.validation.draws import Status
from models.target import Target

Domain = Literal["participants", "predictors", "outcome", "analysis"]
Verdict = Literal["low", "unclear", "high"]
DOMAINS: tuple[Domain, ...] = ("participants", "predictors", "outcome", "analysis")
VERDICTS: tuple[Verdict, ...] = ("low", "unclear", "high")
SCHEMA_VERSION = 1
NOT_RECORDED = "not recorded"
HIDDEN = "suppressed: a small cell"
PROBAST = "Moons 2019, doi 10.7326/M18-1377"


class Signals(dy.Schema):
    """Signals of one outcome in the manner of PROBAST (Wolff 2019, doi 10.7326/M18-1376), before any model."""

    schema_version = dy.Int32(nullable=False)
    study = dy.String(nullable=False)
    outcome = dy.String(nullable=False)
    domain = dy.Enum(DOMAINS, nullable=False)
    signal = dy.String(nullable=False)
    place = dy.String(nullable=False)  # "all", a country, a group of centres, a feature set, learners
    found = dy.String(nullable=False)
    value = dy.Float64(
        nullable=True
    )  # what is judged, as a number; null where there is none or it is suppressed
    expected = dy.String(nullable=False)
    verdict = dy.Enum(VERDICTS, nullable=False)  # how much concern it raises
    source = dy.String(nullable=False)


@dataclass(frozen=True)
class Signal:
    """One row of Signals, without study and outcome."""

    domain: Domain
    signal: str
    found: str
    expected: str
    verdict: Verdict
    source: str
    place: str = "all"
    value: float | None = None


@dataclass(frozen=True)
class Material:
    """All that is looked at, for one outcome.

    Attributes:
        study, outcome: names.
        rows: eligible rows as splits.eligible_rows returns them, n of them.
        status: what is known of each at the main horizon.
        target: of each.
        X: all feature columns, shape (n, columns).
        columns: schema ColumnDescriptions.
        learners: the columns of each learner that uses any, by name.
        splits: schema Splits, of the outcome's schemes.
        kinds: of the schemes.
        look_behind: days of each feature set's window; None: any distance.
        roles: declared role of columns.
        signed_off: columns that look like the outcome and were judged not to be.
        proxy_limits: the declared limits as words.
        drift: schema features.drift.TreatmentByYear.
        smallest_cell: the smallest count that may be published; 0: any.
    """

    study: str
    outcome: str
    rows: pl.DataFrame
    status: Status
    target: Target
    X: pl.DataFrame
    columns: pl.DataFrame
    learners: Mapping[str, tuple[str, ...]]
    splits: pl.DataFrame
    kinds: Mapping[str, str]
    look_behind: Mapping[str, float | None]
    roles: Mapping[str, str]
    signed_off: Sequence[str]
    proxy_limits: str
    drift: pl.DataFrame
    smallest_cell: int

    @property
    def position(self) -> NDArray[np.int64]:
        """The patient of each row."""
        return self.rows["position"].to_numpy().astype(np.int64)


@dataclass(frozen=True)
class SignalsReport:
    """What the stage writes: schema Signals, and tables that the page shows beside them."""

    signals: pl.DataFrame
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def graded(value: float, low: float, unclear: float) -> Verdict:
    """Return low up to `low`, unclear up to `unclear`, high beyond."""
    return "low" if value <= low else "unclear" if value <= unclear else "high"


def patients_with(position: NDArray[np.int64], chosen: NDArray[np.bool_]) -> int:
    """Return how many patients have any of the chosen rows."""
    return len(np.unique(position[chosen]))


def count(number: int, smallest_cell: int) -> str:
    """Word a number of patients; a small one is not told, and none is."""
    return f"{number:,}" if number == 0 or number >= smallest_cell else f"fewer than {smallest_cell}"


def told_share(
    chosen: NDArray[np.bool_],
    position: NDArray[np.int64],
    smallest_cell: int,
    before: Sequence[NDArray[np.bool_]] = (),
) -> float | None:
    """Return the share of chosen rows; None where it would tell, times the rows, of a few patients.

    Args:
        chosen: shape (n,).
        position: the patient of each row.
        smallest_cell: the smallest count that may be published; 0: any.
        before: what was chosen where a share was told before: a few more or less than there are not told either.
    """
    parts = [chosen, ~chosen, *(chosen != other for other in before)]
    if any(0 < patients_with(position, part) < smallest_cell for part in parts):
        return None
    return float(chosen.mean())


def graded_if_told(value: float | None, low: float, unclear: float) -> Verdict:
    """Return the verdict of `graded`, and unclear where the value is not told: the verdict would tell."""
    return "unclear" if value is None else graded(value, low, unclear)


def shares(
    names: Sequence[str | None],
    chosen: NDArray[np.bool_],
    position: NDArray[np.int64],
    smallest_cell: int,
) -> dict[str, float | None]:
    """Return the share of chosen rows in each place, by name; None where patients with or without are a small cell.

    Args:
        names: place of each row; None is not recorded.
        chosen: shape (n,).
        position: the patient of each row.
        smallest_cell: the smallest count that may be published; 0: any.
    """
    place = np.array([NOT_RECORDED if name is None else name for name in names])
    found = sorted(set(place.tolist()))
    counts = np.array(
        [
            [patients_with(position, (place == name) & part) for part in (place == name, chosen, ~chosen)]
            for name in found
        ],
        dtype=np.int64,
    ).reshape(-1, 3)
    # Nobody, or everybody, gives no patient away.
    small = np.where((counts == 0) | (smallest_cell == 0), 10**9, counts)
    hidden = hidden_cells(small, smallest_cell) if smallest_cell else np.zeros(len(found), dtype=np.bool_)
    return {
        name: None if hidden[row] else float(chosen[place == name].mean()) for row, name in enumerate(found)
    }


def spread(found: Mapping[str, float | None]) -> float | None:
    """Return the largest minus the smallest share that is told; None with fewer than two."""
    told = [value for value in found.values() if value is not None]
    return max(told) - min(told) if len(told) > 1 else None


def percent(value: float | None) -> str:
    """Word a share."""
    return HIDDEN if value is None else f"{100 * value:.0f} %"


def listed(found: Mapping[str, float | None]) -> str:
    """Word the shares of places."""
    return "; ".join(f"{name} {percent(value)}" for name, value in found.items())


def ranged(found: Mapping[str, float | None]) -> str:
    """Word the range of shares over places, without naming them."""
    told = [value for value in found.values() if value is not None]
    hidden = len(found) - len(told)
    words = (
        f"{percent(min(told))} to {percent(max(told))} over {len(told)} of {len(found)}"
        if told
        else "none told"
    )
    return f"{words}; {hidden} suppressed as small cells" if hidden else words
