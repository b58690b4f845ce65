"""How figures and names are worded on cards and in tables."""

METRICS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "brier_skill": "Brier skill (index of prediction accuracy)",
    "calibration_intercept": "calibration in the large (intercept)",
    "calibration_slope": "calibration slope",
    "observed_to_expected": "observed to expected",
    "concordance": "concordance (Uno)",
    "integrated_brier": "integrated Brier score",
    "integrated_brier_skill": "integrated Brier skill",
    "ici": "calibration error, mean (ICI)",
    "e50": "calibration error, median (E50)",
    "e90": "calibration error, 90th percentile (E90)",
    "auroc_per_patient": "AUROC, each patient equal",
    "brier_per_patient": "Brier score, each patient equal",
    "observed_to_expected_per_patient": "observed to expected, each patient equal",
}
SCHEMES = {
    "stratified_kfold": "new patients of the same centres (random k-fold)",
    "leave_centre_out": "new centres (leave centres out)",
    "leave_country_out": "a new country (leave the country out)",
    "temporal": "later patients (trained on what was known before a day)",
}
INTERVALS = {
    "none": "no interval",
    "corrected_resampling": "the procedure on new patients of the same centres (Nadeau-Bengio variance)",
    "patient_bootstrap": "this frozen model on the left-out patients (patient bootstrap)",
    "random_effects": "the mean over centres (random effects, Hartung-Knapp-Sidik-Jonkman)",
    "prediction_interval": "where one new centre is expected (prediction interval)",
}
SHORT_INTERVALS = {
    "none": "no interval",
    "corrected_resampling": "the procedure, same centres",
    "patient_bootstrap": "this model, those left out",
    "random_effects": "the mean of centres",
    "prediction_interval": "a new centre",
}


def horizon_words(days: float) -> str:
    """Word a horizon: whole years and months are said as such."""
    for unit, size in (("year", 365.25), ("month", 30.4375)):
        amount = round(days / size)
        if amount and abs(days - amount * size) < 1.5 and (unit == "year" or days < 365):
            return f"{amount} {unit}{'s' if amount > 1 else ''} ({days:g} days)"
    return f"{days:g} days"


def p_value(value: float | None) -> str:
    """Word a p-value: none reads 0.000; a missing one is empty."""
    return "" if value is None else "< 0.001" if value < 0.0005 else number(value)


def number(value: float | int | None, *, digits: int = 3, signed: bool = False) -> str:
    """Word a figure; a missing one is said to be missing."""
    if value is None:
        return "not shown"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 100):
        return f"{int(value):,}"
    rounded = round(float(value), digits) + 0.0  # no figure reads -0.000
    return f"{rounded:+.{digits}f}" if signed and rounded else f"{rounded:.{digits}f}"


def interval(lower: float | None, upper: float | None, *, digits: int = 3) -> str:
    """Word an interval; empty where there is none."""
    if lower is None or upper is None:
        return ""
    return f"{round(lower, digits) + 0.0:.{digits}f} to {round(upper, digits) + 0.0:.{digits}f}"
