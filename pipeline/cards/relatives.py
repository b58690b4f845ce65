"""Which predictions no fold's training holds because a relative is tested."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.disclosure import smallest_published
from pipeline.cards.flow import HIDDEN, Table
from pipeline.cards.section import Section
from pipeline.cards.wording import SCHEMES
from pipeline.files import read_json
from pipeline.settings.study import Study

WORDS = (
    "Relatives by their genotypes are tested in one fold where folds are drawn at random. Centres, countries and days cut "
    "families: a patient whose relative is tested is then left out of that fold's training."
)


def relatives_section(study: Study, outcome: str, workspace: Path) -> Section | None:
    """Return what was set aside of an outcome's folds; None where no fold cuts a family."""
    schemes = next(cell.schemes for cell in study.cells if cell.outcome == outcome)
    folds = read_json(workspace / "splits" / outcome / "folds.json")
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    rows = set_aside([fold for fold in folds if fold["scheme"] in schemes], smallest)
    if not rows:
        return None
    return Section(
        "relatives",
        "Relatives",
        (WORDS,),
        (("Predictions left out of training for a tested relative", rows),),
    )


def set_aside(folds: Sequence[Mapping[str, Any]], smallest: int) -> Table:
    """Word, per scheme, the predictions set aside, over its folds together.

    Hidden where no fold sets aside `smallest` patients: a patient may be counted in several folds, so that only the largest
    of them says how many there are at least.

    Args:
        folds: entries of folds.json.
        smallest: the smallest count that may be shown; 0 shows all.
    """
    rows: Table = []
    for scheme in dict.fromkeys(str(fold["scheme"]) for fold in folds if "relatives" in fold):
        own = [fold for fold in folds if fold["scheme"] == scheme]
        hidden = max(int(fold.get("relatives_patients", 0)) for fold in own) < smallest
        total = sum(int(fold.get("relatives", 0)) for fold in own)
        rows.append(
            {
                "scheme": scheme,
                "validation": SCHEMES[str(own[0]["kind"])],
                "folds that cut a family": HIDDEN
                if hidden
                else str(sum("relatives" in fold for fold in own)),
                "predictions set aside, over all folds": HIDDEN if hidden else f"{total:,}",
            }
        )
    return rows
