"""The simulated cohort carries the truth that was planted, and its marginal figures are the published ones."""

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.stats import ttest_ind
from sklearn.metrics import roc_auc_score
from sksurv.nonparametric import cumulative_incidence_competing_risks

from pipeline.errors import BadSettings
from pipeline.simulation.cohort import SimulatedCohort, fresh_patients, simulate_cohort
from pipeline.simulation.dials import Simulation, Strata, read_dials
from pipeline.simulation.hazards import cumulative_incidence
from pipeline.simulation.patients import STRATA_FACTORS
from pipeline.simulation.world import DRIVERS, PLANTED

SEED = 11


@lru_cache(maxsize=2)
def cohort(patients: int = 6000) -> SimulatedCohort:
    return simulate_cohort(Simulation(patients=patients, variants=60), SEED)


def small(**dials: object) -> SimulatedCohort:
    return simulate_cohort(Simulation.model_validate({"patients": 300, "variants": 60, **dials}), SEED)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"sygnal": 1}, ("simulation.sygnal", "signal", "centre_baseline")),
        ({"strata": {"separations": 2}}, ("simulation.strata.separations", "shares")),
        ({"signal": -1}, ("simulation.signal",)),
        ({"strata": {"shares": [0.5, 0.4]}}, ("simulation.strata", "add up to 1")),
    ],
)
def test_a_wrong_dial_is_refused_with_the_known_ones(values: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(BadSettings) as refused:
        read_dials(values)
    assert all(word in str(refused.value) for word in named)


def test_all_wrong_dials_are_told_at_once() -> None:
    with pytest.raises(BadSettings) as refused:
        read_dials({"a": 1, "b": 2, "death": -3})
    assert len(refused.value.problems) == 3


def test_a_cox_model_finds_the_planted_hazard_ratios() -> None:
    drawn = simulate_cohort(Simulation(patients=6000, variants=60, country_slope=0.0), SEED)
    truth = drawn.truth
    time = np.minimum(truth["latent_relapse_days"].to_numpy(), truth["follow_up_days"].to_numpy())
    event = (truth["latent_relapse_days"] < truth["follow_up_days"]).to_numpy()
    known = truth.select(*(f"driver_{name}" for name in DRIVERS), "term_centre")
    levels = truth["network"].to_dummies(drop_first=True)
    fitted = sm.PHReg(
        time, np.hstack([known.to_numpy(), levels.to_numpy()]).astype(float), status=event
    ).fit()
    planted = [*({**PLANTED, "substance_use_and_poor_adherence": 0.3}[name] for name in DRIVERS), 1.0]
    standardised = (fitted.params[: len(planted)] - np.array(planted)) / fitted.bse[: len(planted)]
    assert np.abs(standardised).max() < 3.5
    assert fitted.bse[DRIVERS.index("symptoms")] < 0.04  # the comparison can fail


def test_effects_differ_by_country_around_the_planted_mean() -> None:
    world = cohort().world
    french, german = world.effects("FR"), world.effects("DE")
    for name, planted in PLANTED.items():
        assert (french[name] + german[name]) / 2 == pytest.approx(planted)
        assert abs(french[name] - german[name]) == pytest.approx(2 * world.dials.country_slope * planted)


def test_true_risks_agree_with_the_aalen_johansen_estimate() -> None:
    truth = simulate_cohort(Simulation(patients=6000, variants=60, death=15), SEED).truth
    times = truth.select("latent_relapse_days", "latent_death_days", "follow_up_days").to_numpy()
    relapse, death, end = times.T
    status = np.where(np.minimum(relapse, end) == end, np.where(death <= end, 2, 0), 1)
    at, incidence = cumulative_incidence_competing_risks(status, np.minimum(relapse, end))
    for days in (90, 365, 730):
        place = np.searchsorted(at, days, side="right") - 1
        assert incidence[1, place] == pytest.approx(truth[f"relapse_{days}"].mean(), abs=0.02)
        assert incidence[2, place] == pytest.approx(truth[f"death_{days}"].mean(), abs=0.012)
    assert truth["death_730"].to_numpy().mean() > 0.1


def test_cumulative_incidence_of_constant_hazards_is_the_closed_form() -> None:
    event, death = np.array([0.002, 0.0004]), np.array([0.0005, 0.003])
    first, died = cumulative_incidence(event, 1.0, 1.0, death, 400)
    both = event + death
    np.testing.assert_allclose(first, event / both * (1 - np.exp(-both * 400)), rtol=1e-10)
    np.testing.assert_allclose(died, death / both * (1 - np.exp(-both * 400)), rtol=1e-10)


def test_relapse_and_readmission_lie_near_the_published_rates() -> None:
    truth = cohort().truth
    relapsed = (truth["latent_relapse_days"] <= 365).alias("relapsed")
    shares = dict(truth.with_columns(relapsed).group_by("network").agg(pl.col("relapsed").mean()).iter_rows())
    assert shares["schizophrenia"] == pytest.approx(0.35, abs=0.04)
    assert shares["bipolar"] == pytest.approx(0.44, abs=0.04)
    within = readmitted(cohort(), 30)
    assert within["schizophrenia"] == pytest.approx(0.16, abs=0.04)
    assert within["bipolar"] == pytest.approx(0.09, abs=0.03)
    year = readmitted(cohort(), 365)
    assert all(0.22 < year[name] < 0.44 for name in ("schizophrenia", "bipolar"))


def readmitted(drawn: SimulatedCohort, days: int) -> dict[str, float]:
    """Share of psychiatric discharges alive, followed for so many days, with a readmission."""
    people = (
        drawn.truth.drop("patient")
        .with_row_index("patient")
        .select(
            pl.col("patient").cast(pl.Int64),
            "network",
            end=pl.Series(drawn.people["baseline"]) + pl.col("follow_up_days"),
        )
    )
    after = pl.col("admission").shift(-1).over("patient") - pl.col("discharge")
    stays = (
        drawn.stays.filter(pl.col("kind") == "psychiatric")
        .sort("patient", "admission")
        .with_columns(after=after)
    )
    left = stays.join(people, on="patient").filter(
        pl.col("discharged_to").is_not_null() & (pl.col("discharged_to") != "death")
    )
    seen = left.filter((pl.col("end") - pl.col("discharge") >= days) | (pl.col("after") <= days))
    return dict(
        seen.group_by("network").agg((pl.col("after") <= days).fill_null(value=False).mean()).iter_rows()
    )


def test_the_size_of_the_demo() -> None:
    drawn = simulate_cohort(Simulation(variants=60), SEED)
    discharges = drawn.stays.filter(
        pl.col("discharge").is_not_null() & (pl.col("kind") == "psychiatric")
    ).height
    assert 1800 < discharges < 3500
    returned = drawn.visits.filter(pl.col("number") > 0)["patient"].n_unique() / drawn.people.height
    assert returned == pytest.approx(0.61, abs=0.03)
    sizes = drawn.people["centre"].value_counts()["count"].to_numpy()
    assert len(sizes) == 24
    assert sizes.max() > 2 * np.median(sizes)


def test_crp_is_log_normal_with_28_percent_above_3() -> None:
    dials = Simulation(variants=60, country_shift=0, marker_centre_shift=0)
    baseline = (
        simulate_cohort(dials, SEED).measurements.filter(pl.col("number") == 0)["crp"].drop_nulls().to_numpy()
    )
    assert (baseline > 3).mean() == pytest.approx(0.28, abs=0.03)
    assert baseline.std() > baseline.mean()  # as right-skewed as in the cohorts


def test_shares_under_the_limit_of_detection() -> None:
    dials = Simulation(variants=60, country_shift=0, marker_centre_shift=0)
    measured = simulate_cohort(dials, SEED).measurements
    for name, share in {"il6": 0.34, "il10": 0.27, "il1ra": 0.49}.items():
        below = measured.filter(pl.col(name).is_not_null())[f"{name}_below"].mean()
        assert below == pytest.approx(share, abs=0.03)


def test_the_oracle_is_better_than_an_honest_model_may_be() -> None:
    truth = cohort().truth.filter(pl.col("latent_death_days") > 365)
    area = roc_auc_score((truth["latent_relapse_days"] <= 365).to_numpy(), truth["relapse_365"].to_numpy())
    assert 0.7 < area < 0.8


def test_without_signal_everybody_has_the_same_risks() -> None:
    truth = small(signal=0.0).truth
    terms = truth.select(name for name in truth.columns if name.startswith("term_")).to_numpy()
    assert not terms.any()
    for name in ("relapse_365", "death_730", "readmission_90"):
        assert truth[name].n_unique() == 1


def test_centre_signal_only_leaves_the_centre_alone() -> None:
    drawn = small(centre_signal_only=0.8)
    truth = drawn.truth
    patient_terms = [f"term_{name}" for name in DRIVERS]
    assert not truth.select(patient_terms).to_numpy().any()
    risks = truth.group_by("centre").agg(
        pl.col("relapse_365").n_unique().alias("within"), pl.col("relapse_365").first()
    )
    assert risks["within"].to_list() == [1] * risks.height
    assert risks["relapse_365"].to_numpy().std() > 0.08
    shifts = [abs(shift) for centre in drawn.world.centres for shift in centre.shifts.values()]
    assert np.mean(shifts) > 0.3


def test_centre_shifts_of_markers_can_follow_the_baseline_hazard() -> None:
    drawn = small(centre_shift_correlation=1.0, country_shift=0.0, country_baseline=0.0)
    centres = drawn.world.centres
    hazards = [centre.log_hazard for centre in centres]
    for marker in ("crp", "gaf"):
        assert np.corrcoef(hazards, [centre.shifts[marker] for centre in centres])[0, 1] == pytest.approx(1)


def test_signal_scales_every_effect() -> None:
    one, two = small(signal=1.0).world.effects("FR"), small(signal=2.0).world.effects("FR")
    assert two == {name: pytest.approx(2 * value) for name, value in one.items()}


@pytest.mark.parametrize("proxies", [0.0, 0.6])
def test_proxies_are_correlated_with_their_driver_as_declared(proxies: float) -> None:
    truth = simulate_cohort(Simulation(patients=5000, variants=60, proxies=proxies), SEED).truth
    correlation = np.corrcoef(truth["true_sleep_quality"], truth["severity"])[0, 1]
    assert correlation == pytest.approx(proxies, abs=0.05)


@pytest.mark.parametrize(("dial", "differs"), [(0.0, False), (1.0, True)])
def test_drop_out_follows_severity(dial: float, differs: bool) -> None:
    drawn = simulate_cohort(Simulation(patients=3000, variants=60, dropout_by_severity=dial), SEED)
    back = np.isin(np.arange(3000), drawn.visits.filter(pl.col("number") > 0)["patient"].to_numpy())
    severity = drawn.truth["severity"].to_numpy()
    assert (ttest_ind(severity[back], severity[~back]).pvalue < 1e-6) == differs
    if differs:
        assert severity[back].mean() < severity[~back].mean()


def test_death_is_a_dial() -> None:
    assert small(death=0.0).events.filter(pl.col("kind") == "death").is_empty()
    assert small(death=20.0).events.filter(pl.col("kind") == "death").height > 60


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_strata_lie_apart_as_declared(groups: int) -> None:
    shares = tuple(1 / groups for _ in range(groups))
    dials = Simulation(patients=6000, variants=60, strata=Strata(separation=2.5, shares=shares))
    truth = simulate_cohort(dials, SEED).truth
    factors = truth.select(f"factor_{name}" for name in STRATA_FACTORS).to_numpy()
    stratum = truth["stratum"].to_numpy()
    centroids = np.array([factors[stratum == k].mean(axis=0) for k in range(1, groups + 1)])
    within = sum(np.cov(factors[stratum == k].T) for k in range(1, groups + 1)) / groups
    gaps = [a - b for i, a in enumerate(centroids) for b in centroids[i + 1 :]]
    distances = [float(np.sqrt(gap @ np.linalg.solve(within, gap))) for gap in gaps]
    np.testing.assert_allclose(distances, 2.5, atol=0.2)


def test_a_continuum_has_no_strata() -> None:
    assert set(small(strata={"separation": 0.0}).truth["stratum"]) == {0}


def test_fresh_patients_share_the_world() -> None:
    drawn = small()
    same, new, abroad = (
        fresh_patients(drawn.world, p, 200) for p in ("same centres", "new centres", "new country")
    )
    old = set(drawn.people["centre"])
    assert set(same.people["centre"]) <= {centre.name for centre in drawn.world.centres}
    assert not set(new.people["centre"]) & old
    assert set(new.people["country"]) == {"FR", "DE"}
    assert set(abroad.people["country"]) == {"NL"}
    assert same.effects["FR"] == drawn.effects["FR"]
    assert fresh_patients(drawn.world, "same centres", 200).truth.equals(same.truth)
    assert not fresh_patients(drawn.world, "same centres", 200, number=1).truth.equals(same.truth)


def test_nothing_happens_outside_follow_up() -> None:
    drawn = cohort()
    start = drawn.people.with_row_index("patient_index").select(
        pl.col("patient_index").cast(pl.Int64).alias("patient"), "baseline", end=drawn.truth["follow_up_days"]
    )
    events = drawn.events.join(start, on="patient")
    assert (events["time"] > events["baseline"]).all()
    assert (events["time"] <= events["baseline"] + events["end"]).all()
    stays = drawn.stays.join(start, on="patient").sort("patient", "admission")
    assert (stays["admission"] <= stays["baseline"] + stays["end"]).all()
    assert (
        stays["discharge"].drop_nulls() >= stays.filter(pl.col("discharge").is_not_null())["admission"]
    ).all()
    following = stays.filter(pl.col("kind") == "psychiatric").with_columns(
        gap=pl.col("admission").shift(-1).over("patient") - pl.col("discharge")
    )
    assert following["gap"].drop_nulls().to_numpy().min() >= 1
