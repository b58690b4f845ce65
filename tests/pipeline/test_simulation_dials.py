"""The dials of laboratories, treatment and curved continua, and what the feature sets make of them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features import inflammatory, metabolic
from features.prediction_times import build_prediction_times
from models.adjustment.adjustment import Adjustment
from models.adjustment.plan import AdjustmentPlan
from pipeline.commands.use import read_study
from pipeline.errors import BadSettings
from pipeline.intake.identity import positions
from pipeline.intake.registry import read_cohort
from pipeline.simulation.canonical import canonical_tables
from pipeline.simulation.cohort import SimulatedCohort, simulate_cohort
from pipeline.simulation.dials import Simulation, read_dials
from pipeline.simulation.indication import USUAL
from pipeline.simulation.sources import POOLS, write_sources
from pipeline.simulation.variables import PLATED

SEED = 11
QUIET = {"variants": 60, "measurement_error": 0.0, "country_shift": 0.0, "marker_centre_shift": 0.0}
PUBLISHED = {"il6": 0.34, "il10": 0.27, "il1ra": 0.49, "ifn_gamma": 0.02, "tnf_alpha": 0.0, "il8": 0.0}


def cohort(**dials: Any) -> SimulatedCohort:
    return simulate_cohort(Simulation.model_validate({"patients": 1200, **QUIET, **dials}), SEED)


@lru_cache(maxsize=1)
def confounded() -> SimulatedCohort:
    """Return a cohort whose relapsing patients' samples were read late, on a drifting assay."""
    return cohort(plate_with_outcome=1.0, plate_shift=1.0, treatment_by_indication=1.0)


def baseline(tables: Any) -> Any:
    return build_prediction_times(
        {"baseline": {"kind": "baseline_visit"}},
        patients=tables["patients"],
        visits=tables["visits"],
        stays=tables["stays"],
        events=tables["events"],
    )


def features(drawn: SimulatedCohort, builder: Any, **settings: Any) -> pl.DataFrame:
    """Return the set at baseline, in the order of the cohort's people."""
    tables = canonical_tables(drawn)
    times = baseline(tables)
    built: pl.DataFrame = builder(times, tables, **settings).frame
    return built.with_columns(times["position"]).sort("position")


@pytest.mark.parametrize("dial", [1.0, 0.5])
def test_the_flags_find_the_planted_shares_under_the_limit(dial: float) -> None:
    built = features(cohort(limit_of_detection=dial), inflammatory.build)
    for name, share in PUBLISHED.items():
        flags = built[f"inflammatory_{name}_below_limit"].drop_nulls()
        error = np.sqrt(dial * share * (1 - dial * share) / len(flags))
        assert flags.to_numpy().mean() == pytest.approx(dial * share, abs=3.5 * error + 0.005), name


def test_without_limits_nothing_is_under_one() -> None:
    names = cohort(patients=200, limit_of_detection=0.0).measurements.columns
    assert not [name for name in names if name.endswith("_below")]


def test_a_plate_holds_forty_samples_of_one_country() -> None:
    drawn = confounded()
    country = pl.Series("country", drawn.people["country"].to_numpy()[drawn.measurements["patient"]])
    plates = drawn.measurements.with_columns(country).drop_nulls("plate").group_by("plate")
    counted = plates.agg(pl.len(), pl.col("country").n_unique())
    assert counted["len"].max() == 40
    assert counted["country"].max() == 1
    assert set(drawn.pools["plate"]) == set(counted["plate"])
    without = drawn.measurements.filter(pl.col("plate").is_null())
    assert without.select(PLATED).null_count().sum_horizontal().item() == len(PLATED) * without.height


def gap(values: pl.Series, drawn: SimulatedCohort) -> float:
    """Return the difference of a marker between who relapses within a year and who does not, in standard errors."""
    relapsing = (drawn.truth["latent_relapse_days"] <= 365).to_numpy()
    known = values.is_not_null().to_numpy()
    one, other = (values.to_numpy()[known & (relapsing == side)] for side in (True, False))
    return float((one.mean() - other.mean()) / np.sqrt(one.var() / len(one) + other.var() / len(other)))


def test_plates_that_stand_in_the_order_of_relapse_make_a_difference_that_is_none(tmp_path: Path) -> None:
    drawn, column = confounded(), "inflammatory_tnf_alpha_log"
    built = features(drawn, inflammatory.build)
    assert abs(gap(drawn.truth["true_tnf_alpha"].log(), drawn)) < 3.5
    assert gap(built[column], drawn) > 10
    plan = AdjustmentPlan(plates={"inflammatory_tnf_alpha_plate": (column,)})
    centred = Adjustment.fit(built, plan, columns=[column]).transform(built)
    assert abs(gap(centred[column], drawn)) < 3.5
    drawn.pools.write_csv(tmp_path / POOLS)
    bridged = features(drawn, inflammatory.build, bridge={"file": POOLS}, source=tmp_path)
    assert abs(gap(bridged[column], drawn)) < 3.5
    # The pool takes the shift out to its own error; a plate's drift is nearly two SD from end to end.
    true = drawn.truth["true_tnf_alpha"].log()
    away = (bridged[column] - true).drop_nulls().to_numpy()
    assert away.std() < 0.1 * float(true.to_numpy().std())


def test_centring_by_plate_in_the_fold_takes_a_plates_shift_out() -> None:
    drawn, column = cohort(plate_shift=1.0), "inflammatory_tnf_alpha_log"
    built = features(drawn, inflammatory.build)
    plan = AdjustmentPlan(plates={"inflammatory_tnf_alpha_plate": (column,)})
    fitted = Adjustment.fit(built, plan, columns=[column])
    true = drawn.truth["true_tnf_alpha"].log()
    before, after = (
        np.corrcoef(*pl.DataFrame([true, values]).drop_nulls().to_numpy().T)[0, 1]
        for values in (built[column], fitted.transform(built)[column])
    )
    assert before < 0.8
    assert after > 0.95


def test_treatment_by_indication_goes_from_severity_to_dose_to_metabolism_and_relapse() -> None:
    drawn = confounded()
    truth = drawn.truth
    dose, severity = truth["antipsychotic_dose"].to_numpy(), truth["severity"].to_numpy()
    assert np.corrcoef(dose, severity)[0, 1] > 0.4
    written = drawn.medications.filter(pl.col("atc") == "N05AH03").sort("patient")
    assert written["patient"].to_list() == np.flatnonzero(dose > 0).tolist()
    np.testing.assert_allclose(written["dose"], USUAL * dose[dose > 0], atol=0.05)
    assert np.corrcoef(dose, truth["true_waist"].to_numpy())[0, 1] > 0.15
    assert np.corrcoef(dose, truth["term_treatment"].to_numpy())[0, 1] == pytest.approx(-1.0)
    terms = truth.select(name for name in truth.columns if name.startswith("term_"))
    np.testing.assert_allclose(terms.sum_horizontal(), truth["linear_predictor"], atol=1e-9)
    untouched = cohort(plate_shift=1.0).truth
    assert set(untouched["antipsychotic_dose"]) == {0.0}
    assert truth["relapse_365"].to_numpy().mean() == pytest.approx(
        untouched["relapse_365"].to_numpy().mean(), abs=0.02
    )


def test_an_error_can_be_that_of_one_panel() -> None:
    drawn = cohort(patients=200, measurement_error=0.5, panel_errors={"metabolic": 0.0})
    first = drawn.measurements.filter(pl.col("number") == 0)
    for name, same in (("waist", True), ("creatinine", True), ("lymphocytes", False), ("gaf", False)):
        both = pl.DataFrame([first[name], drawn.truth[f"true_{name}"]]).drop_nulls()
        assert (both[name] == both[f"true_{name}"]).all() == same, name


def test_a_curved_continuum_has_no_correlation_and_a_shape() -> None:
    drawn = cohort(patients=3000, strata={"separation": 0.0, "curved": 0.8})
    cognition, inflammation, metabolism = (
        drawn.truth[f"factor_{name}"].to_numpy() for name in ("cognition", "inflammation", "metabolism")
    )
    flat = np.corrcoef([cognition, inflammation, metabolism])
    assert (
        np.abs(flat - np.eye(3)).max() < 0.2
    )  # a cubic's tails make a correlation of 3,000 uncertain by 0.06
    assert np.corrcoef(inflammation, cognition**2)[0, 1] == pytest.approx(0.8, abs=0.06)
    assert inflammation.std() == pytest.approx(1.0, abs=0.1)
    with pytest.raises(BadSettings, match=r"simulation\.strata.*curved"):
        read_dials({"strata": {"curved": 0.5}})


ROUNDED = {  # feature -> true value, and how far the coarser laboratory's unit rounds it
    "waist": ("waist", 0.5), "systolic": ("systolic", 0.5), "triglycerides": ("triglycerides", 0.011),
    "hdl": ("hdl", 0.021), "glucose": ("glucose", 0.04), "hba1c": ("hba1c", 0.06), "bmi": ("bmi", 0.05),
}  # fmt: skip


@pytest.fixture(scope="module")
def from_files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the sets as built from the hospitals' files, with the truth of the same patients."""
    folder = tmp_path_factory.mktemp("files")
    drawn = cohort(patients=400, bad_rows=0.0, plate_shift=0.5)
    write_sources(drawn, folder)
    study = read_study("demo", [f"seed={SEED}"])
    intake = read_cohort(
        study.cohort,
        dictionary=study.dictionary,
        consent=study.consent,
        source=folder,
        seed=SEED,
        open_data=True,
    )
    times = baseline(intake.tables)
    sets = [metabolic.build(times, intake.tables), inflammatory.build(times, intake.tables)]
    frames = [sets[0].frame, sets[1].frame.drop("prediction_id")]
    admitted = drawn.truth.filter((drawn.people["consent"] == "yes") & ~drawn.people["withdrawn"])
    rank = positions(admitted["patient"], SEED)
    truth = admitted.with_columns(position=pl.col("patient").replace_strict(rank, return_dtype=pl.Int64))
    built = pl.concat(frames, how="horizontal").with_columns(times["position"])
    return built.join(truth, on="position", how="inner", validate="1:1")


def test_features_from_the_files_are_the_true_values_up_to_rounding(from_files: pl.DataFrame) -> None:
    for feature, (true, rounding) in ROUNDED.items():
        both = from_files.select(f"metabolic_{feature}", f"true_{true}").drop_nulls()
        assert both.height > 200
        away = (both.to_series(0) - both.to_series(1)).abs()
        assert away.max() <= rounding, feature  # type: ignore[operator]
    ratio = from_files.select("inflammatory_mlr", true=pl.col("true_monocytes") / pl.col("true_lymphocytes"))
    away = (ratio["inflammatory_mlr"] - ratio["true"]).abs().drop_nulls()
    assert away.max() < 1e-9  # type: ignore[operator]
    kynurenines = pl.col("true_kynurenine") / pl.col("true_tryptophan") * 1000
    shifted = from_files.select("inflammatory_kyn_trp", true=kynurenines).drop_nulls()
    # Plates shift both by half an SD at most here and there, a unit that was not converted by a hundred.
    assert (shifted["inflammatory_kyn_trp"] / shifted["true"]).log().abs().median() < 0.3  # type: ignore[operator]


def test_estimates_follow_from_the_true_values(from_files: pl.DataFrame) -> None:
    measured = from_files.filter(pl.col("metabolic_ldl_estimated") == 0.0)
    away = (measured["metabolic_ldl"] - measured["true_ldl"]).abs()
    assert away.max() < 0.8  # type: ignore[operator]


def test_the_prevalence_of_the_metabolic_syndrome_is_the_true_one(from_files: pl.DataFrame) -> None:
    untreated = from_files.filter(
        (pl.col("metabolic_treated_glucose") == 0.0) & pl.col("metabolic_metabolic_syndrome").is_not_null()
    )
    found, true = untreated["metabolic_metabolic_syndrome"], untreated["driver_metabolic_syndrome"]
    assert len(found) > 250
    assert (found == true).to_numpy().mean() > 0.97  # the others stand on a threshold that a unit rounds over
    assert found.to_numpy().mean() == pytest.approx(true.to_numpy().mean(), abs=0.02)


def test_every_cytokine_knows_its_plate(from_files: pl.DataFrame) -> None:
    both = from_files.select("inflammatory_il6_plate", "inflammatory_il6_log", "country")
    assert both["inflammatory_il6_plate"].null_count() == both["inflammatory_il6_log"].null_count()
    named = both.drop_nulls()
    assert (named["inflammatory_il6_plate"].str.slice(0, 2) == named["country"]).all()
    assert "inflammatory_crp_plate" not in from_files.columns


def test_the_last_stratum_gets_worse_by_the_dial_and_nothing_else_moves() -> None:
    strata = {"separation": 3.0, "shares": (0.4, 0.6)}
    plain, made = (cohort(patients=300, strata={**strata, "change": change}) for change in (0.0, 0.8))
    stratum = made.truth["stratum"].to_numpy()[made.measurements["patient"].to_numpy()]
    year = made.measurements["number"].to_numpy()
    for name, direction, spread in (("madrs", 1, 7.5), ("gaf", -1, 12)):
        moved = made.measurements[name].to_numpy() - plain.measurements[name].to_numpy()
        assert np.nanmax(np.abs(moved[(stratum == 1) | (year == 0)])) == 0
        later = direction * moved[(stratum == 2) & (year == 1)] / spread
        assert np.nanmedian(later) == pytest.approx(0.8, abs=0.08)
    rest = [name for name in made.measurements.columns if name not in ("madrs", "gaf")]
    assert made.measurements.select(rest).equals(plain.measurements.select(rest))
    with pytest.raises(BadSettings, match="no stratum that gets worse"):
        read_dials({"strata": {"separation": 0, "change": 0.5}})
