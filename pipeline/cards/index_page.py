"""The index of a study's cards as one HTML file."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cards.environment import environment


def render_index(
    title: str, study: str, rows: Sequence[dict[str, Any]], strata: Sequence[Mapping[str, Any]]
) -> str:
    """Return the index of a study's cards as one HTML file.

    Args:
        title: the study's title.
        study: the study's name.
        rows: one mapping per card: href, outcome, learner, primary, and a worded headline per scheme.
        strata: summaries of the stratifications, with name, title and claim.
    """
    template = environment(autoescape=True).get_template("index.html.j2")
    return template.render(title=title, study=study, rows=rows, strata=strata)
