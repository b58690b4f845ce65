"""What each figure of the tables is, in one sentence a reviewer can hold against other programs."""

DEFINITIONS = {
    "auroc": "AUROC at the horizon: cases had the event by then; controls are all known to be without it then, those who "
    "had a competing event first among them (cumulative cases, dynamic controls)",
    "average_precision": "precision at each distinct risk, weighted by the recall gained there",
    "brier": "mean squared difference between risk and status at the horizon, with censoring weights",
    "brier_skill": "index of prediction accuracy: 1 - Brier score / that of the Aalen-Johansen risk for everybody",
    "calibration_intercept": "calibration in the large: intercept of a logistic model with the logit of the risk as offset",
    "calibration_slope": "slope of a logistic model of the status on the logit of the risk; 1 is ideal, below 1 too extreme",
    "observed_to_expected": "Aalen-Johansen (weighted) share of events over the mean risk of those whose status is known, by "
    "the same weights",
    "ici": "integrated calibration index: mean distance between risk and smooth observed risk; above 0 by chance alone "
    "where events are few",
    "e50": "median distance between risk and smooth observed risk",
    "e90": "90th percentile of the distance between risk and smooth observed risk",
    "concordance": "Uno's C truncated at the horizon: who had a competing event first is a comparison for every later case; "
    "pairs weigh 1/G(T-)^2",
    "integrated_brier": "Brier score averaged over the time up to the horizon: straight lines between the declared horizons, "
    "from 0 at time 0",
    "integrated_brier_skill": "integrated index of prediction accuracy: 1 - integrated Brier score / that of the "
    "Aalen-Johansen risks for everybody",
}
PER_PATIENT = "_per_patient"


def definition(metric: str) -> str:
    """Return what a metric of the tables is.

    Raises:
        KeyError: no such metric.
    """
    if metric.endswith(PER_PATIENT):
        return f"{DEFINITIONS[metric.removesuffix(PER_PATIENT)]}; each patient counts once, however many predictions"
    return DEFINITIONS[metric]
