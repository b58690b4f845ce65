"""Do the columns that a plan names exist, and hold what the plan needs?"""

from collections.abc import Sequence

import polars as pl

from models.adjustment.plan import AdjustmentPlan
from models.columns import is_category
from models.errors import BadTarget


def require_named(plan: AdjustmentPlan, columns: Sequence[str], X: pl.DataFrame) -> None:
    """Refuse a plan that names columns which the learner does not predict from, or categories where numbers are needed."""
    kinds, further = X.schema, plan.further(columns)
    for place, names in plan.named.items():
        derived = set(further) if place == "columns" else set()
        absent = sorted(set(names) - {*columns, *derived})
        if absent:
            raise BadTarget(
                f"The adjustment's {place} names {', '.join(absent[:10])}, which the learner does not use; give names of its "
                "feature columns."
            )
        words = sorted(name for name in set(names) - derived if is_category(kinds[name]))
        if words:
            raise BadTarget(
                f"The adjustment's {place} names {', '.join(words[:10])}, which holds categories; give columns of numbers."
            )
    clash = sorted(set(plan.composites) & set(X.columns))
    if clash:
        raise BadTarget(f"composites: {', '.join(clash)} is the name of a column already; give another name.")
    clash = sorted(set(further) & set(X.columns))
    if clash:
        raise BadTarget(
            f"genetics: {', '.join(clash[:10])} stand among the columns already; fit components in the fold or project them on a "
            "reference, not both."
        )
