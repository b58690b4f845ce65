"""How often are planted strata found with their number, and how near to the Bayes rule that knows the truth?"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from experiments.seeds import seed_for
from experiments.validity.ledger import mean_text, share_text, table
from experiments.validity.strata_cohorts import Planted, plant
from experiments.validity.strata_search import CHEAPNESS, claim_of

Record = dict[str, Any]

SEED = 20261207
PATIENTS, STRATA = 600, 3
SEPARATIONS, COLUMNS = (2.0, 3.0, 4.0), (2, 5, 10, 30)
WHERE = ("spread", "two", "correlated")
SHARES = ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2))
FEWER = {  # two and four strata beside
    "2 strata, separation 4, 10 columns": Planted(2, 4.0, 10),
    "4 strata, separation 4, 10 columns": Planted(4, 4.0, 10),
}
DESIGNS = {
    f"3 strata, separation {separation:g}, {columns} columns": Planted(STRATA, separation, columns)
    for separation, columns in product(SEPARATIONS, COLUMNS)
} | FEWER
SCENARIOS = tuple(DESIGNS)
HELD, RIGHT, INDEX = (
    0.95,
    0.9,
    0.85,
)  # what separation 4 is to give: of the oracle's index, the number right, the index


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return what the chain claims of one cohort; where centroids differ, and shares, take turns over runs."""
    scenario, run = task
    asked = DESIGNS[scenario]
    where, shares = tuple(product(WHERE, SHARES))[run % 6]
    seed = seed_for(SEED, "strata", scenario, run)
    unequal = shares if asked.strata == STRATA else ()
    planted = Planted(asked.strata, asked.separation, asked.columns, where, unequal)
    cohort = plant(planted, PATIENTS, np.random.default_rng(seed))
    return [
        {
            "scenario": scenario,
            "run": run,
            "where": where,
            "equal": shares == SHARES[0],
            "oracle": cohort.oracle,
            **claim_of(cohort, seed, likely=asked.separation == SEPARATIONS[-1]).to_record(),
        }
    ]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on power and recovery."""
    rows = [
        _row(name, [line for line in records if line["scenario"] == name], asked)
        for name, asked in DESIGNS.items()
    ]
    far = [
        line
        for line in records
        if DESIGNS[line["scenario"]].separation == SEPARATIONS[-1]
        and DESIGNS[line["scenario"]].strata == STRATA
    ]
    parts = {
        **{
            f"centroids {words}": [line for line in far if line["where"] == where]
            for where, words in _WORDS.items()
        },
        "equal shares": [line for line in far if line["equal"]],
        "shares of .5, .3 and .2": [line for line in far if not line["equal"]],
    }
    apart = [_row(name, own, Planted(STRATA, SEPARATIONS[-1], 0)) for name, own in parts.items()]
    header = (
        "planted",
        "number right",
        "claimed with it",
        "claimed and replicated",
        "index",
        "of the Bayes rule",
        "ratio",
    )
    lines = [
        "## How often planted strata are found",
        "",
        f"{PATIENTS} patients of twelve centres in two countries, Gaussian strata; separation is the Mahalanobis distance of nearest "
        "centroids. Centroids differ in all columns, in two of them, or in correlated columns; shares are equal or .5, .3 and .2: in "
        f"turn. Index: the adjusted Rand index with the truth where the number is right, beside that of the Bayes rule with the true "
        f"parameters on the same patients. To be held at separation {SEPARATIONS[-1]:g}: the number right in {RIGHT:.0%}, an index of "
        f"{INDEX:g}, {HELD:.0%} of the Bayes rule's. {CHEAPNESS} Brackets: Wilson's 95 % interval, and of means the Monte-Carlo one (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(header, [row for row in rows if row]),
        "",
        f"Separation {SEPARATIONS[-1]:g}, three strata, all numbers of columns together:",
        "",
        *table(("part", *header[1:]), [row for row in apart if row]),
    ]
    return "\n".join(lines) + "\n"


_WORDS = {
    "spread": "spread over all columns",
    "two": "in two of the columns",
    "correlated": "spread over correlated columns",
}


def _row(name: str, own: Sequence[Record], asked: Planted) -> tuple[str, ...]:
    if not own:
        return ()
    right = [line for line in own if line["k"] == asked.strata]
    index, oracle = ([line[key] for line in right] for key in ("index", "oracle"))
    return (
        name,
        share_text([line["k"] == asked.strata for line in own]),
        share_text([line["k"] == asked.strata and line["claimed"] for line in own]),
        share_text([line["k"] == asked.strata and line["replicated"] for line in own]),
        mean_text(index),
        mean_text(oracle),
        f"{np.mean(index) / np.mean(oracle):.3f}" if right else "not estimable",
    )
