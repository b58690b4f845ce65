from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from experiments.figures import svg_text
from experiments.stratification.continuous import axes_between, encoded, explained, smaller_columns
from experiments.stratification.estimation import independent
from experiments.stratification.makers import refuse_made_outcomes, refuse_makers
from experiments.stratification.medication import difference_interval, share_interval
from experiments.stratification.outcome_schemas import TABLES
from experiments.stratification.relate import Related, RelateSettings, relate
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, held_out_responses, outcome_response
from experiments.stratification.value import _index, value_test
from features.errors import BadInput
from tests.experiments.related_patients import planted, related_patients

SETTINGS = RelateSettings(
    held_out=("gaf", "smoker"), covariates=("age", "sex"), compare_with=("diagnosis",), bootstraps=25
)


@pytest.fixture(scope="module")
def related() -> Related:
    patients, outcomes = related_patients(planted(400, 3.0, 3), 5)
    return relate(patients, outcomes, SETTINGS, seed=1, smallest_cell=0)


def test_every_table_is_there_and_valid(related: Related) -> None:
    assert set(related.tables) == set(TABLES)
    for name, schema in TABLES.items():
        schema.validate(related.tables[name])
    assert {"incidence_relapse", "contrasts", "value"} == set(related.figures)
    assert related.summary["value"]["status"] == related.test.status
    assert related.test.name == "value"


def test_the_same_seed_gives_the_same_figures() -> None:
    patients, outcomes = related_patients(planted(150, 3.0, 3), 5)
    settings = replace(SETTINGS, held_out=("gaf",), compare_with=(), bootstraps=10)
    one, again = (relate(patients, outcomes, settings, seed=1, smallest_cell=0) for _ in range(2))
    for name, table in one.tables.items():
        assert table.equals(again.tables[name])
    assert svg_text(one.figures["contrasts"]) == svg_text(again.figures["contrasts"])


def test_the_second_stratum_relapses_sooner(related: Related) -> None:
    contrasts = related.tables["contrasts"].filter(
        (pl.col("outcome") == "relapse") & (pl.col("correction") == "bch")
    )
    of = dict(contrasts.select("measure", "estimate").iter_rows())
    assert of["hazard_ratio"] > 1.8
    assert of["free_time_difference"] < -60
    ratio = contrasts.filter(pl.col("measure") == "hazard_ratio").row(0, named=True)
    assert ratio["lower"] < np.exp(0.9) < ratio["upper"]
    label = related.tables["contrasts"].filter(
        (pl.col("outcome") == "label") & (pl.col("measure") == "odds_ratio")
    )
    assert (label["lower"] < 1).all()
    assert (label["upper"] > 1).all()


def test_risks_of_a_stratum_sum_with_the_event_free_share(related: Related) -> None:
    own = related.tables["incidence"].filter(
        (pl.col("outcome") == "relapse") & (pl.col("correction") == "bch")
    )
    risks = own.filter(pl.col("measure").is_in(["risk", "competing"]))
    totals = risks.group_by("horizon", "stratum").agg(pl.col("estimate").sum())["estimate"]
    assert (totals <= 1 + 1e-9).all()
    limit = own.filter(pl.col("measure") == "free_time")
    assert (limit["estimate"] <= limit["horizon"]).all()
    assert (own["lower"] <= own["estimate"]).all()


def test_one_stratum_gives_the_effects_of_continuous_scores() -> None:
    patients, outcomes = related_patients(planted(400, 3.0, 3), 5, k=1)
    found = relate(patients, outcomes, SETTINGS, seed=1, smallest_cell=0)
    assert found.test.status == "not_possible"
    assert found.tables["value"].is_empty()
    assert found.tables["contrasts"].is_empty()
    own = found.tables["associations"].filter(pl.col("name") == "relapse")
    first, second = own.sort("dimension").to_dicts()
    assert first["lower"] > 1
    assert first["p_adjusted"] < 1e-4
    assert second["p_spline"] > 0.01
    assert "associations" in found.figures


def test_without_an_outcome_and_a_held_out_column_nothing_can_be_tested() -> None:
    patients, _ = related_patients(planted(200, 3.0, 3), 5)
    found = relate(patients, {}, RelateSettings(bootstraps=10), seed=1, smallest_cell=0)
    assert found.test.status == "not_possible"
    assert "no outcome" in found.test.reason
    assert found.tables["medication"].height


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("lab_crp_log", "made these strata"),
        ("lab_crp_above_10", "same measurement"),
        ("near_glucose", "rank correlation"),
    ],
)
def test_a_column_that_made_the_strata_or_is_derived_from_one_is_refused(column: str, why: str) -> None:
    patients, outcomes = related_patients(planted(100, 3.0, 3), 5)
    beside = patients.beside.with_columns(patients.made["lab_crp_log"])
    settings = replace(SETTINGS, held_out=(column,))
    with pytest.raises(BadInput, match=why) as problem:
        relate(replace(patients, beside=beside), outcomes, settings, seed=1, smallest_cell=0)
    assert column in str(problem.value)
    with pytest.raises(BadInput, match=why):
        refuse_makers(beside.select(column), patients.made, patients.descriptions)


def test_a_ratio_of_a_maker_is_told_by_its_description() -> None:
    made = pl.DataFrame({"metabolic_triglycerides": np.arange(20.0)})
    other = pl.DataFrame({"metabolic_tg_hdl": np.cos(np.arange(20.0))})
    refuse_makers(other, made)
    with pytest.raises(BadInput, match="metabolic_triglycerides"):
        refuse_makers(other, made, {"metabolic_tg_hdl": "triglycerides over HDL cholesterol"})


@pytest.mark.parametrize("variables", [("crp",), ("glucose_1", "glucose_2")])
def test_an_outcome_read_from_a_variable_that_made_the_strata_is_refused(variables: tuple[str, ...]) -> None:
    patients, outcomes = related_patients(planted(100, 3.0, 3), 5)
    outcomes["label"] = replace(outcomes["label"], variables=variables)
    with pytest.raises(BadInput, match=r"outcome label is defined by what lab_(crp_log|glucose) measures"):
        relate(patients, outcomes, SETTINGS, seed=1, smallest_cell=0)


def test_a_label_that_is_a_cut_off_of_a_maker_is_refused_and_one_that_only_follows_it_is_not() -> None:
    patients, outcomes = related_patients(planted(100, 3.0, 3), 5)
    high = (patients.made["lab_glucose"] < 0.2).cast(pl.Int8)
    frame = outcomes["label"].frame.with_columns(high.alias("cause"))
    for cause, refused in (
        (frame["cause"], True),
        (frame["cause"].scatter([3], 1 - frame["cause"][3]), False),
    ):
        own = {"label": replace(outcomes["label"], frame=frame.with_columns(cause))}
        responses = [outcome_response("label", own["label"], patients.rows)]
        if refused:
            with pytest.raises(BadInput, match="lab_glucose"):
                refuse_made_outcomes(own, responses, patients.made)
        else:
            refuse_made_outcomes(own, responses, patients.made)


def test_a_column_that_is_not_there_is_named() -> None:
    patients, outcomes = related_patients(planted(100, 3.0, 3), 5)
    with pytest.raises(BadInput, match=r"value.held_out names nowhere"):
        relate(patients, outcomes, replace(SETTINGS, held_out=("nowhere",)), seed=1, smallest_cell=0)


def test_few_patients_are_suppressed_everywhere() -> None:
    patients, outcomes = related_patients(planted(260, 3.0, 3), 5)
    rare = pl.Series("diagnosis", ["F20"] * 255 + ["F33"] * 5)
    found = relate(
        replace(patients, beside=patients.beside.with_columns(rare)),
        outcomes,
        SETTINGS,
        seed=1,
        smallest_cell=11,
    )
    for name in ("value", "incidence", "held_out", "medication", "compared", "associations"):
        table = found.tables[name]
        for column in {"n", "on", "events"} & set(table.columns):
            assert (table[column].drop_nulls() >= 11).all()
    rows = found.tables["compared"].filter(pl.col("level") == "F33")
    assert rows["share"].null_count() == rows.height
    lithium = found.tables["medication"].filter(pl.col("group") == "lithium")
    assert lithium["share"].null_count() == lithium.height


def test_how_many_lack_a_value_is_not_had_by_subtraction() -> None:
    made = planted(200, 3.0, 3)
    patients, _ = related_patients(made, 5)
    first = int(np.flatnonzero(made.classified.assigned == 0)[0])
    lacking = pl.Series([None if row == first else 1.0 for row in range(200)])
    beside = patients.beside.with_columns(smoker=pl.col("smoker") * lacking, gaf=pl.col("gaf") * lacking)
    settings = replace(SETTINGS, bootstraps=2, compare_with=())
    patients = replace(patients, beside=beside)
    public, restricted = (
        relate(patients, {}, settings, seed=1, smallest_cell=smallest) for smallest in (0, 11)
    )
    for column in ("smoker", "gaf"):
        own, all_told = (
            found.tables["held_out"].filter(pl.col("column") == column) for found in (restricted, public)
        )
        assert all_told["n"].null_count() == 0
        assert own["n"].null_count() == own.height
        assert own["estimate"].null_count() == all_told["estimate"].null_count()
        assert restricted.tables["value"].filter(pl.col("name") == column)["n"].to_list() == [None]
    assert [figure.n for figure in restricted.test.figures] == [None, None]
    shares = restricted.tables["held_out"].filter(pl.col("column") == "smoker")["estimate"].drop_nulls()
    assert (shares == shares.round(2)).all()


def test_intervals_of_shares_and_differences_are_the_published_ones() -> None:
    difference = difference_interval((56, 70), (48, 80))  # Newcombe's first example
    assert difference == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert share_interval(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)


def test_medication_is_what_ran_before_the_prediction_and_carries_its_warning(related: Related) -> None:
    table = related.tables["medication"]
    assert table["warning"].str.contains("nothing about who responds").all()
    on = table.filter(pl.col("group") == "antipsychotics")
    assert on["on"].sum() == pytest.approx(0.4 * 400, abs=40)
    assert (on["lower"] < on["share"]).all()
    assert (on["share"] < on["upper"]).all()
    assert on["difference"].sum() == pytest.approx(0)  # of two strata
    assert (on["difference_lower"] < 0).all()  # nothing differs in it
    assert table.filter(pl.col("group") == "lithium")["on"].sum() == 0  # began on the day of the prediction


def test_a_stratum_of_nobody_with_the_response_takes_no_axis_from_the_others() -> None:
    scores = np.random.default_rng(3).normal(size=(60, 2))
    probability = np.eye(2)[np.arange(60) % 2]
    beside = axes_between(scores, np.column_stack([probability, np.zeros(60)]))
    assert np.array_equal(beside, axes_between(scores, probability))
    assert np.isfinite(beside).all()


def test_the_index_leaves_out_a_score_that_says_nothing_of_the_response() -> None:
    """A dimension that is constant among the patients with a value must not lend its place to the next column."""
    made, places = planted(120, 2.0, seed=5), np.arange(120)
    none, same = np.zeros((120, 0)), np.zeros(120, dtype=np.int64)
    covariate = np.random.default_rng(6).normal(size=(120, 1))
    cohort = RelatedCohort(
        rows=pl.DataFrame({"prediction_id": [f"p{place}" for place in places]}),
        classified=made.classified,
        scores=made.scores,
        makers=none,
        covariates=covariate,
        curved=covariate,
        centres=same,
        countries=same,
        places=none,
        lands=none,
    )
    value = made.scores[:, 1] + 3 * covariate[:, 0]
    response = Response("y", "held_out", "", "linear", places, value, same, np.ones(120))
    constant = replace(cohort, scores=np.column_stack([np.ones(120), made.scores]))
    assert _index(constant, response) == pytest.approx(_index(cohort, response))
    assert np.corrcoef(_index(constant, response), made.scores[:, 1])[0, 1] > 0.99
    bare = replace(constant, curved=none)
    assert np.corrcoef(_index(bare, response), made.scores[:, 1])[0, 1] > 0.5


def test_the_smaller_model_has_no_more_columns_than_patients_allow() -> None:
    generator = np.random.default_rng(1)
    makers = generator.normal(size=(200, 12))
    scores = makers[:, :3]
    few = smaller_columns(np.zeros((200, 0)), scores, makers, knots=4, size=40)
    many = smaller_columns(np.zeros((200, 0)), scores, makers, knots=4, size=400)
    assert (few.groups == 0).sum() <= 8
    assert (few.groups == 0).sum() < (many.groups == 0).sum()
    assert many.explained is not None
    assert many.explained >= 0.9 > (explained(scores, makers) or 0)
    free = many.columns[:, many.groups == 0]
    assert independent(free) == list(range(free.shape[1]))


def test_columns_become_numbers_without_gaps() -> None:
    frame = pl.DataFrame(
        {"age": [None] * 12 + [float(one) for one in range(28)], "kind": ["a"] * 20 + ["b"] * 15 + [None] * 5}
    )
    found = encoded(frame)
    assert found.shape == (40, 3)  # age, age missing, b; five without a kind have no column
    assert np.isfinite(found).all()


def test_a_category_of_two_levels_is_one_response() -> None:
    frame = pl.DataFrame(
        {"two": ["x"] * 5 + ["y"] * 10, "three": ["a", "b", "c"] * 5, "number": [1.0] * 14 + [None]}
    )
    found = [(one.name, one.level, one.model, len(one.rows)) for one in held_out_responses(frame)]
    assert found[0] == ("two", "x", "logistic", 15)
    assert [level for name, level, *_ in found if name == "three"] == ["a", "b", "c"]
    assert found[-1][3] == 14


def test_the_value_test_passes_where_one_adjusted_p_is_low_enough() -> None:
    row = {"name": "y", "level": "", "n": 100, "dimensions": 3, "note": None}
    assert value_test([row | {"p_adjusted": 0.05}, row | {"p_adjusted": 0.9}], 0.05).status == "passed"
    assert value_test([row | {"p_adjusted": 0.06}], 0.05).status == "failed"
    assert value_test([row | {"p_adjusted": None, "note": "too few"}], 0.05).status == "not_possible"
