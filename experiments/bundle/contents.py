"""What a bundle may hold: every file's schema. Nothing else is packed, and nothing else is read."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from features.errors import BadInput

FORMAT, STRATA_FORMAT = "psystrata bundle", "psystrata bundle of strata"
VERSION = 1
MANIFEST, DEFINITION, REFERENCE = "manifest.json", "definition.json", "reference.json"
README, CARD = "README.md", "card.html"
MODEL_FILE = r"^model/[a-z][a-z0-9_]*\.(json|txt)$"  # native booster text and JSON; nothing binary

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Short = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{16})?$")]
# Control characters steer a terminal: no word of a bundle holds any.
_PRINTED = r"^[^\x00-\x1f\x7f-\x9f]*$"
Word = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTED)]
Line = Annotated[str, StringConstraints(max_length=2000, pattern=_PRINTED)]
Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")
]  # as settings name studies, outcomes, learners
DEEPEST, LONGEST, MOST_HORIZONS = 20, 20_000, 100  # of settings: nesting, characters of a text, horizons
MOST_ROWS = 50_000


def _plain_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose texts can be printed; raises ValueError on control characters, depth and length without end."""
    left: list[tuple[Any, int]] = [(values, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(value, str) and (len(value) > LONGEST or _STEERING.search(value)):
            raise ValueError("a text that cannot be printed")
        if isinstance(value, dict):
            left += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list | tuple):
            left += [(inner, depth + 1) for inner in value]
    estimand = values.get("estimand", {})
    if not isinstance(estimand, dict) or not all(isinstance(text, str) for text in estimand.values()):
        raise ValueError("an estimand that is not texts by name")
    return values


_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)  # not tab and new line, which settings may hold
Stated = Annotated[dict[Word, Any], AfterValidator(_plain_settings)]
Share = Annotated[float, Field(ge=0, le=1)]


class Content(BaseModel):
    """Frozen values; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Column(Content):
    """A feature column that the model uses, and what it is computed from.

    `needs` are the measured variables behind it; None where they are not known one by one.
    """

    column: Word
    feature_set: Word
    kind: Literal["number", "category"]
    description: Line
    unit: Word | None
    source: Line
    needs: tuple[Word, ...] | None


class VariableDefinition(Content):
    """What a measured variable is, in the unit that columns are computed in."""

    kind: Literal["number", "category"]
    unit: Word | None
    range: tuple[float, float] | None
    levels: tuple[Word, ...] | None


class Definition(Content):
    """All that another site needs to build the model's columns and its outcome; nothing of the source's files.

    Attributes:
        time: what a time is in the study: date, days or order.
        prediction_times: the settings of the rule that says when predictions are made.
        outcome: the outcome's settings, its estimand among them.
        horizons: the days at which the model predicts; empty for a label.
        feature_sets: the settings of each set that the model's columns come from.
        reference_files: SHA-256 of the files that settings name, such as weights of scores, by setting.
        variables: those that the columns need.
        columns: those that the model uses.
    """

    time: Literal["date", "days", "order"]
    prediction_times: Stated
    outcome: Stated
    horizons: Annotated[tuple[float, ...], Field(max_length=MOST_HORIZONS)]
    feature_sets: dict[Word, Stated]
    reference_files: dict[Word, Sha256]
    variables: dict[Word, VariableDefinition]
    columns: tuple[Column, ...]


class Figure(Content):
    """A figure as the study published it: see experiments.results.Metrics."""

    scheme: Word
    group: Word | None
    cause: int
    horizon: float
    subgroup: Word | None
    metric: Word
    estimate: float | None
    lower: float | None
    upper: float | None
    interval_kind: Word
    n: int | None
    events: int | None
    note: Line | None


class CurvePoint(Content):
    """A point of an aggregated curve as the study published it: see experiments.results.Curves."""

    scheme: Word
    curve: Word
    cause: int
    horizon: float
    point: int
    x: float | None
    y: float | None
    lower: float | None
    upper: float | None
    n: int | None


class BaseRate(Content):
    """The cumulative incidence of a cause by a horizon among those that the model was fitted on; null where few had it."""

    cause: int
    horizon: float
    risk: Share | None


class Summary(Content):
    """How a column was distributed among those that the model was fitted on; what small counts would tell is null."""

    column: Word
    mean: float | None
    spread: float | None
    missing: Share | None
    shares: dict[Word, Share] | None


class Reference(Content):
    """Aggregates to compare another site with."""

    predictions: Annotated[int, Field(ge=0)] | None
    patients: Annotated[int, Field(ge=0)] | None
    base_rates: Annotated[tuple[BaseRate, ...], Field(max_length=MOST_ROWS)]
    summaries: Annotated[tuple[Summary, ...], Field(max_length=MOST_ROWS)]
    figures: Annotated[tuple[Figure, ...], Field(max_length=MOST_ROWS)]
    curves: Annotated[tuple[CurvePoint, ...], Field(max_length=MOST_ROWS)]

    @field_validator("base_rates", "summaries")
    @classmethod
    def _told_once(cls, rows: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [row.column if isinstance(row, Summary) else (row.cause, row.horizon) for row in rows]
        if len(set(keys)) != len(keys):
            raise ValueError("told twice")
        return rows


class Choices(Content):
    """The hashes of every choice behind the model, as the register of openings holds them, and of data and history."""

    sections: dict[Word, Short]
    data: Line
    lock: Line
    commit: Line


class OpeningsOf(Content):
    """How often the results of a left-out place were opened for the model's learner when it was frozen."""

    left_out: Word
    openings: int
    sets_of_choices: int


class Head(Content):
    """What every manifest says; `files` has the SHA-256 of every other file, `seal` is that of the manifest without it."""

    version: int
    psystrata: Word
    study: Name
    model: Sha256
    choices: Choices
    files: dict[Word, Sha256]
    seal: Sha256


class Manifest(Head):
    """What a bundle of a model of an outcome is."""

    format: Literal["psystrata bundle"]
    outcome: Name
    learner: Name
    kind: Name
    scheme: Name
    left_out: Word | None
    openings: tuple[OpeningsOf, ...]


C = TypeVar("C", bound=Content)


def canonical_json(value: Any) -> bytes:
    """Return JSON with one way to write each value, so that equal values have equal bytes and none can be changed unseen."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def content_bytes(content: Content) -> bytes:
    """Return a content's file."""
    return canonical_json(content.model_dump(mode="json"))


def read_content(files: Mapping[str, bytes], name: str, schema: type[C]) -> C:
    """Read one file of a bundle; raises BadInput on what is not in its schema, naming the key, never a value."""
    try:
        return schema.model_validate(json.loads(files[name].decode("utf-8")))
    except ValidationError as problem:
        place = ".".join(map(str, problem.errors()[0]["loc"]))
        raise BadInput(f"{name} of the bundle cannot be used: {place} is not as it should be.") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{name} of the bundle is not JSON: it was changed or is not ours.") from None
