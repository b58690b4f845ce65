"""Is a stored adjustment whole: are its steps those of its plan, and do they name columns that there are?"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.adjustment.adjustment import Adjustment


def is_whole(made: "Adjustment") -> bool:
    """Tell whether the steps are those of the plan and name columns that there are."""
    plan, known = made.plan, {*made.numbers, *made.plan.further(made.columns)}
    used: set[str] = set()
    needed: set[str] = set()
    if made.limits is not None:
        used |= {name for one in made.limits.markers for name in (one.value, one.flag)}
        used |= set(made.limits.hashed) - set(made.columns)
    if made.genetics is not None:
        used |= set(made.genetics.scores)
    if made.plates is not None:
        used |= {name for one in made.plates.effects.values() for name in one.columns}
        needed |= set(made.plates.effects) - set(plan.context)
    if made.norms is not None:
        used |= set(made.norms.columns)
        needed |= set(made.norms.regressors)
    if made.composites is not None:
        used |= {name for one in made.composites.each for name in one.columns}
    if made.centres is not None:
        used |= set(made.centres.harmonisation.columns)
        needed |= {*made.centres.regressors, *({made.centres.batch} - set(plan.context))}
    if made.imputation is not None:
        used |= set(made.imputation.columns)
    return (
        used <= known
        and needed <= set(plan.needed)
        and set(made.numbers) <= set(made.columns)
        and (made.genetics is None) == (plan.genetics is None)
        and (made.composites is None) == (not plan.composites)
        and [one.name for one in (() if made.composites is None else made.composites.each)]
        == sorted(plan.composites)
        and made.harmonise in plan.harmonise
        and made.impute in plan.impute
    )
