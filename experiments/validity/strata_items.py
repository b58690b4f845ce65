"""Symptoms and items alone: how often are strata claimed where a trait differs in degree, and are latent classes found?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.seeds import seed_for
from experiments.validity.ledger import mean_text, share_text, table
from experiments.validity.strata_item_cohorts import (
    CLASSES,
    CLUSTERER,
    TRAITS,
    answers_without_classes,
    latent_classes,
)
from experiments.validity.strata_search import CHEAPNESS, claim_of, upper_bound

Record = dict[str, Any]

SEED = 20261210
PATIENTS = (300, 600)  # in turn; classes are planted in the larger number
EVERY = 5  # classes go through every test, so they take part in every fifth run
SCENARIOS = (*TRAITS, *CLASSES)


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return what the chain claims of one cohort."""
    scenario, run = task
    seed = seed_for(SEED, "strata", scenario, run)
    generator = np.random.default_rng(seed)
    if scenario in CLASSES:
        if run % EVERY:
            return [{"scenario": scenario, "run": run, "left_out": True}]
        cohort = latent_classes(CLASSES[scenario], PATIENTS[-1], generator)
    else:
        cohort = answers_without_classes(scenario, PATIENTS[run % len(PATIENTS)], generator)
    claim = claim_of(cohort, seed, likely=scenario in CLASSES)
    return [{"scenario": scenario, "run": run, "oracle": cohort.oracle, **claim.to_record()}]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on strata of answers alone."""
    seen = [line for line in records if not line.get("left_out", False)]
    none = [line for line in seen if line["scenario"] in TRAITS]
    rows = [_none(name, [line for line in none if line["scenario"] == name]) for name in TRAITS]
    rows.append(_none("**all of these**", none))
    found = [_found(name, [line for line in seen if line["scenario"] == name]) for name in CLASSES]
    lines = [
        "## Strata of symptoms and items alone",
        "",
        f"{PATIENTS[0]} or {PATIENTS[-1]} patients of twelve centres in two countries, answers yes or no or of five steps, and no column "
        f"that is a density; the clusterer is {CLUSTERER}, as studies of symptoms use it. Without classes: one or two traits of which "
        "patients have more or less. Claimed as in the section on claims; to be held there too: an upper 95 % bound of 0.07. "
        f"{CHEAPNESS} Brackets: Wilson's 95 % interval, and of means the Monte-Carlo one (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(("no classes planted", "claimed", "upper bound"), [row for row in rows if row]),
        "",
        f"Latent classes of equal shares, {PATIENTS[-1]} patients; index where the number is right, beside that of the Bayes rule:",
        "",
        *table(
            (
                "planted",
                "number right",
                "claimed with it",
                "claimed and replicated",
                "index",
                "of the Bayes rule",
            ),
            [row for row in found if row],
        ),
    ]
    return "\n".join(lines) + "\n"


def _none(name: str, own: Sequence[Record]) -> tuple[str, ...]:
    if not own:
        return ()
    claimed = [line["claimed"] for line in own]
    return (name, share_text(claimed), f"{upper_bound(sum(claimed), len(own)):.3f}")


def _found(name: str, own: Sequence[Record]) -> tuple[str, ...]:
    if not own:
        return ()
    right = [line["k"] == CLASSES[name].classes for line in own]
    kept = [line for line, one in zip(own, right, strict=True) if one]
    return (
        name,
        share_text(right),
        share_text([line["claimed"] and one for line, one in zip(own, right, strict=True)]),
        share_text([line["replicated"] and one for line, one in zip(own, right, strict=True)]),
        mean_text([line["index"] for line in kept]),
        mean_text([line["oracle"] for line in kept]),
    )
