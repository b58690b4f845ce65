"""Single columns that give the outcome away in time: refused until signed off."""

import numpy as np
import polars as pl
import pytest

from experiments.validation.proxies import ProxyLimits, refuse_proxies, suspicious_columns
from features.errors import BadInput
from models.target import Target

ROWS = 400
DRAW = np.random.default_rng(3)
POSITION = np.arange(ROWS)
NOISE = DRAW.normal(size=ROWS)
EVENT, CENSORING = DRAW.exponential(400, ROWS), DRAW.uniform(50, 900, ROWS)
TIME, CAUSE = np.minimum(EVENT, CENSORING), (EVENT <= CENSORING).astype(np.int64)
TARGET = Target.from_times(TIME, CAUSE, [180.0, 365.0])


def reasons(**columns: object) -> dict[str, str]:
    return suspicious_columns(pl.DataFrame(columns), TARGET, POSITION, ProxyLimits())


def test_a_function_of_the_time_to_the_event_is_suspect_in_either_direction() -> None:
    found = reasons(a=-EVENT + 5 * NOISE, b=EVENT + 5 * NOISE, c=-EVENT + 900 * NOISE)
    assert set(found) == {"a", "b"}


def test_an_order_that_no_horizon_shows_is_seen_by_its_concordance() -> None:
    # Every event lies before the only horizon, so that its labels tell little; the order of the events is given away.
    target = Target.from_times(np.where(CAUSE == 1, TIME / 5, TIME), CAUSE, [180.0])
    column = pl.DataFrame({"a": np.where(CAUSE == 1, -TIME, -170 * 5 + 3 * NOISE)})
    found = suspicious_columns(column, target, POSITION, ProxyLimits(area=0.9))
    assert "a" in found


def test_visits_counted_to_the_end_of_follow_up_are_a_function_of_it() -> None:
    found = reasons(
        visits=np.floor(CENSORING / 30), last=-np.where(NOISE > 1, np.nan, CENSORING + NOISE), other=NOISE
    )
    assert set(found) == {"visits", "last"}
    assert "rank correlation with the follow-up of the censored" in found["visits"]


def test_a_column_filled_for_those_seen_longer_is_suspect_by_what_is_missing() -> None:
    found = reasons(asked=np.where(CENSORING > 400, NOISE, np.nan), other=np.where(NOISE > 0, NOISE, np.nan))
    assert set(found) == {"asked"}
    assert "whether it is missing goes with how long" in found["asked"]


def test_what_was_known_at_the_prediction_passes() -> None:
    risk = NOISE - 0.3 * np.log(EVENT)  # a good predictor
    assert reasons(noise=NOISE, good=risk, some=np.where(NOISE > 0, NOISE, np.nan)) == {}
    assert reasons(levels=np.where(NOISE > 0, "x", "y"), few=np.round(NOISE)) == {}


def test_few_censored_and_few_events_say_nothing() -> None:
    first = np.arange(15)
    few = suspicious_columns(
        pl.DataFrame({"a": TIME[first]}), TARGET.rows(first), first, ProxyLimits(area=0.999)
    )
    assert few == {}


def test_a_lower_declared_limit_refuses_and_a_signature_lets_pass() -> None:
    X = pl.DataFrame({"a": NOISE + 2 * (TIME < 180)})
    refuse_proxies(X, TARGET, POSITION, [], "relapse")
    with pytest.raises(BadInput, match=r"a gives the outcome relapse away: alone it has an AUROC above 0\.7"):
        refuse_proxies(X, TARGET, POSITION, [], "relapse", limits=ProxyLimits(area=0.7))
    refuse_proxies(X, TARGET, POSITION, ["a"], "relapse", limits=ProxyLimits(area=0.7))
