"""How often does the search for strata claim some where none are planted, and how often where some are?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.seeds import seed_for
from experiments.validity.ledger import share_text, table
from experiments.validity.strata_cohorts import ONE_GROUP, Planted, SimulatedPatients, one_group, plant
from experiments.validity.strata_search import CHEAPNESS, claim_of, upper_bound

Record = dict[str, Any]

SEED = 20261206
PATIENTS, COLUMNS = (300, 450, 600), (2, 5, 10, 30)  # runs go through all twelve pairs
PLANTED = {
    f"planted: {asked.strata} strata, separation {asked.separation:g}, {asked.columns} columns": asked
    for asked in (Planted(3, 4.0, 10), Planted(3, 4.0, 5, "correlated"), Planted(2, 3.0, 5))
}
EVERY = 28  # planted strata go through every test, which takes minutes: they take part in every 28th run
SCENARIOS = (*ONE_GROUP, *PLANTED)


def cohort_of(scenario: str, run: int) -> tuple[SimulatedPatients, int]:
    """Return the cohort of a run, and the seed of what is done with it; the peers are given the same cohorts."""
    seed = seed_for(SEED, "strata", scenario, run)
    generator = np.random.default_rng(seed)
    patients = PATIENTS[run % len(PATIENTS)]
    if scenario in PLANTED:
        return plant(PLANTED[scenario], PATIENTS[-1], generator), seed
    return one_group(scenario, patients, COLUMNS[run % len(COLUMNS)], generator), seed


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return what the chain claims of one cohort; planted ones are left out but in every 28th run."""
    scenario, run = task
    if scenario in PLANTED and run % EVERY:
        return [{"scenario": scenario, "run": run, "left_out": True}]
    cohort, seed = cohort_of(scenario, run)
    return [
        {"scenario": scenario, "run": run, "patients": cohort.X.height, **claim_of(cohort, seed).to_record()}
    ]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on false claims of strata, power beside."""
    seen = [line for line in records if not line.get("left_out", False)]
    none = [line for line in seen if line["scenario"] in ONE_GROUP]
    rows = [_row(name, [line for line in none if line["scenario"] == name]) for name in ONE_GROUP]
    rows.append(_row("**all of these**", none))
    found = [_row(name, [line for line in seen if line["scenario"] == name], power=True) for name in PLANTED]
    lines = [
        "## How often strata are claimed where none are planted",
        "",
        f"One group of {PATIENTS[0]} to {PATIENTS[-1]} patients of twelve centres in two countries, {COLUMNS[0]} to {COLUMNS[-1]} "
        "columns (twelve of curved ones). Claimed: one group would not give such a separation, two or more strata are foretold and "
        "agreed on, and each is stable; the second figure asks besides that they replicate between the two countries, in both "
        "directions. To be held: an upper 95 % bound of 0.07 over all designs (Clopper and Pearson, one-sided). "
        f"{CHEAPNESS} Brackets: Wilson's 95 % interval.",
        "",
        f"Command: `{command}`",
        "",
        *table(
            ("nothing planted", "claimed", "upper bound", "claimed and replicated", "upper bound"),
            [row for row in rows if row],
        ),
        "",
        f"Power beside it, {PATIENTS[-1]} patients, so that silence is not rewarded:",
        "",
        *table(
            ("planted", "claimed with that number", "claimed", "claimed and replicated"),
            [row for row in found if row],
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, own: Sequence[Record], *, power: bool = False) -> tuple[str, ...]:
    if not own:
        return ()
    claimed, replicated = ([line[key] for line in own] for key in ("claimed", "replicated"))
    if power:
        right = [line["claimed"] and line["k"] == PLANTED[name].strata for line in own]
        return (
            name.removeprefix("planted: "),
            share_text(right),
            share_text(claimed),
            share_text(replicated),
        )
    bounds = [f"{upper_bound(sum(held), len(own)):.3f}" for held in (claimed, replicated)]
    return (name, share_text(claimed), bounds[0], share_text(replicated), bounds[1])
