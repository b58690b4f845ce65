import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.validation.draws import balanced_groups, pool_small
from experiments.validation.splits import SplitScheme, make_splits
from features.errors import BadInput
from tests.experiments.validation_cohort import SCHEMES, frames

cohorts = st.builds(frames, patients=st.integers(60, 160), seed=st.integers(0, 2**31), times=st.booleans())
many = settings(max_examples=15, deadline=None)
KFOLD = {"kfold": SplitScheme("stratified_kfold", folds=5, repeats=2)}


def where_tested(splits: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return splits.join(rows.select("prediction_id", "position", "centre", "country"), on="prediction_id")


@many
@given(cohort=cohorts, seed=st.integers(0, 2**32 - 1))
def test_every_row_is_tested_once_per_repeat_and_nothing_is_cut(
    cohort: tuple[pl.DataFrame, pl.DataFrame], seed: int
) -> None:
    rows, outcomes = cohort
    horizon = 365.0 if outcomes["time"].null_count() == 0 else None
    splits, folds = make_splits({**SCHEMES, **KFOLD}, rows, outcomes, seed, horizon=horizon)
    for _, part in splits.group_by("scheme", "repeat"):
        assert part["prediction_id"].n_unique() == part.height == rows.height
    placed = where_tested(splits, rows).with_columns(pl.struct("scheme", "repeat").alias("draw"))
    whole = {"position": placed}
    whole["centre"] = placed.filter(pl.col("scheme") == "centres")
    whole["country"] = placed.filter(pl.col("scheme") == "countries")
    for column, part in whole.items():
        assert part.group_by("draw", column).agg(pl.col("fold").n_unique())["fold"].max() == 1
    assert all(fold["train"] + fold["test"] == rows.height for fold in folds)


@many
@given(cohort=cohorts, seed=st.integers(0, 2**32 - 1))
def test_folds_do_not_depend_on_row_order_or_pseudonyms(
    cohort: tuple[pl.DataFrame, pl.DataFrame], seed: int
) -> None:
    rows, outcomes = cohort
    horizon = 365.0 if outcomes["time"].null_count() == 0 else None
    other = rows.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        patient_id=pl.lit("f") + pl.col("patient_id")
    )
    shuffled = outcomes.sample(fraction=1, shuffle=True, seed=seed + 1)
    first = make_splits(SCHEMES, rows, outcomes, 3, horizon=horizon)
    second = make_splits(SCHEMES, other, shuffled, 3, horizon=horizon)
    assert first[0].equals(second[0])
    assert first[1] == second[1]


@many
@given(cohort=cohorts, seed=st.integers(0, 2**32 - 1))
def test_folds_have_like_numbers_of_patients_and_of_patients_with_the_event(
    cohort: tuple[pl.DataFrame, pl.DataFrame], seed: int
) -> None:
    rows, outcomes = cohort
    outcomes = outcomes.with_columns(
        time=pl.lit(None, pl.Float64), cause=(pl.col("cause") == 1).cast(pl.Int8)
    )
    splits, _ = make_splits(KFOLD, rows, outcomes, seed)
    placed = where_tested(splits, rows).join(outcomes.select("prediction_id", "cause"), on="prediction_id")
    patients = placed.group_by("repeat", "fold", "position").agg(pl.col("cause").max())
    counted = patients.group_by("repeat", "fold").agg(events=pl.col("cause").sum(), patients=pl.len())
    for column in ("events", "patients"):
        assert counted[column].max() - counted[column].min() <= 1  # type: ignore[operator]


def test_another_seed_and_each_repeat_draw_other_folds() -> None:
    rows, outcomes = frames()
    one, two = (make_splits(KFOLD, rows, outcomes, seed)[0] for seed in (1, 2))
    assert not one.equals(two)
    repeats = [one.filter(pl.col("repeat") == repeat).drop("repeat") for repeat in (0, 1)]
    assert not repeats[0].equals(repeats[1])


def test_excluded_predictions_are_in_no_fold() -> None:
    rows, outcomes = frames()
    gone = outcomes["prediction_id"][:40]
    reason = pl.when(pl.col("prediction_id").is_in(gone.to_list())).then(pl.lit("in hospital"))
    splits, folds = make_splits(SCHEMES, rows, outcomes.with_columns(excluded=reason), 7)
    assert not splits["prediction_id"].is_in(gone.to_list()).any()
    assert folds[0]["train"] + folds[0]["test"] == rows.height - 40


def test_folds_json_counts_rows_events_and_patients() -> None:
    rows, outcomes = frames()
    _, folds = make_splits(SCHEMES, rows, outcomes, 7)
    german = next(fold for fold in folds if fold["group"] == "DE")
    own = rows.join(outcomes, on="prediction_id").filter(pl.col("country") == "DE")
    assert german["test"] == own.height
    assert german["test_events"] == own["cause"].sum()
    assert german["test_patients"] == own["position"].n_unique()
    assert german["train_patients"] == rows["position"].n_unique() - own["position"].n_unique()


CENTRES = pl.DataFrame(
    {
        "centre": ["A", "B", "C", "D", "E"],
        "rows": [90, 80, 40, 30, 9],
        "events": [40, 30, 12, 6, 1],
        "nones": [50, 50, 28, 24, 8],
    }
)


def test_small_centres_are_pooled_the_rarest_with_the_next_until_none_is_small() -> None:
    # E (1 event) joins D (6): 7 are still too few, so both join C (12).
    assert pool_small(CENTRES, [[name] for name in CENTRES["centre"]]) == [["A"], ["B"], ["C", "D", "E"]]


def test_pooling_stops_at_two_groups() -> None:
    few = CENTRES.with_columns(events=pl.Series([3, 3, 2, 2, 1]))
    assert len(pool_small(few, [[name] for name in few["centre"]])) == 2


def test_groups_are_balanced_in_events() -> None:
    assert balanced_groups(CENTRES, 2) == [["A", "D"], ["B", "C", "E"]]  # 46 and 43 events


def test_a_centre_alone_is_named_and_a_pool_lists_its_centres() -> None:
    rows, outcomes = frames(300)
    small = rows.with_columns(
        centre=pl.when(pl.col("position") < 4).then(pl.lit("tiny")).otherwise(pl.col("centre"))
    )
    _, folds = make_splits({"centres": SplitScheme("leave_centre_out")}, small, outcomes, 7)
    groups = [fold["group"] for fold in folds]
    assert len(groups) == 8
    assert sum("tiny" in group and group.startswith("centres ") for group in groups) == 1
    assert all(fold["test_events"] >= 10 for fold in folds)


def _few_events(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    events = rows["position"].to_numpy() < 10
    return rows, outcomes.with_columns(
        cause=pl.Series(events & (rows["number"].to_numpy() == 1)).cast(pl.Int8)
    )


def _one_country(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.with_columns(country=pl.lit("DE")), outcomes


def _unknown_country(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    known = pl.when(pl.col("position") > 3).then(pl.col("country"))
    return rows.with_columns(country=known), outcomes


def _moving_patient(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.with_columns(centre=pl.col("centre") + pl.col("number").cast(pl.String)), outcomes


def _events_in_one_country(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows, outcomes.with_columns(cause=(rows["country"] == "DE").cast(pl.Int8) * outcomes["cause"])


def _unassembled(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows[5:], outcomes


def _nobody(rows: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows, outcomes.with_columns(excluded=pl.lit("in hospital"))


@pytest.mark.parametrize(
    ("change", "scheme", "sentence"),
    [
        (_few_events, SplitScheme("stratified_kfold"), "Too few events: 10 of 200 eligible patients"),
        (_one_country, SplitScheme("leave_country_out"), "at least two countries, found 1"),
        (_unknown_country, SplitScheme("leave_country_out"), "4 eligible patients have no country"),
        (_moving_patient, SplitScheme("leave_centre_out"), "more than one centre or country"),
        (_events_in_one_country, SplitScheme("leave_country_out"), "0 events and [0-9]+ known non-events"),
        (_unassembled, SplitScheme("stratified_kfold"), "have no assembled row"),
        (_nobody, SplitScheme("stratified_kfold"), "Nobody is eligible"),
        (
            lambda rows, outcomes: (rows, outcomes),
            SplitScheme("stratified_kfold", folds=201),
            "201 folds need as many",
        ),
        (
            lambda rows, outcomes: (rows, outcomes),
            SplitScheme("leave_centre_out", groups=9),
            "at least 9 centres, found 8",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_in_a_plain_sentence(change, scheme, sentence) -> None:  # type: ignore[no-untyped-def]
    rows, outcomes = change(*frames())
    with pytest.raises(BadInput, match=sentence):
        make_splits({"scheme": scheme}, rows, outcomes, 7)


def test_a_patient_censored_before_the_horizon_counts_as_neither_class() -> None:
    rows, outcomes = frames()
    censored = outcomes.with_columns(time=pl.lit(10.0), cause=pl.lit(0, pl.Int8))
    with pytest.raises(BadInput, match="0 of 200 eligible patients are with the event"):
        make_splits(SCHEMES, rows, censored, 7, horizon=365.0)
    events = rows["position"].to_numpy() < 30
    some = censored.with_columns(cause=pl.Series(events.astype(np.int8)))
    with pytest.raises(BadInput, match="0 of 200 eligible patients are known to be without it"):
        make_splits(SCHEMES, rows, some, 7, horizon=365.0)
