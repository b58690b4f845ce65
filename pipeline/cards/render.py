"""Cards as Markdown and self-contained HTML: every text is escaped, no script, nothing from outside."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from pipeline.cards.facts import Card
from pipeline.cards.flow import Table

TEMPLATES = Path(__file__).parent / "templates"
FIGURES = {
    "calibration": "Calibration: predicted and observed risk, out of fold, with 95 % intervals",
    "decision": "Decision curve: net benefit of acting above a threshold of risk, beside acting on nobody and on everybody",
    "groups": "AUROC in each left-out group, with intervals",
    "shap": "SHAP values of the outer-fold models on their test patients: mean size, spread between folds, direction",
    "beeswarm": "SHAP values, one point a patient (shown because this study's data are public)",
}
WIDE = 1.9  # width to height
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render_html(card: Card) -> str:
    """Return the card as one HTML file without links to anything outside it."""
    return _environment(autoescape=True).get_template("card.html.j2").render(card=card, figures=FIGURES)


def render_markdown(card: Card) -> str:
    """Return the card as Markdown; figures are linked in the workspace."""
    return _environment(autoescape=False).get_template("card.md.j2").render(card=card, figures=FIGURES)


def render_index(title: str, study: str, rows: Sequence[dict[str, Any]], strata: str) -> str:
    """Return the index of a study's cards as one HTML file.

    Args:
        title: the study's title.
        study: the study's name.
        rows: one mapping per card: href, outcome, learner, primary, and a worded headline per scheme.
        strata: one sentence on the strata.
    """
    template = _environment(autoescape=True).get_template("index.html.j2")
    return template.render(title=title, study=study, rows=rows, strata=strata)


def _environment(*, autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wide"] = _wide
    environment.filters["data_uri"] = _data_uri
    environment.filters["md"] = escape_markdown
    environment.filters["md_table"] = markdown_table
    return environment


def _wide(svg: str) -> bool:
    """Tell a figure of several panels side by side from one that fits half the page."""
    box = _VIEW_BOX.search(svg)
    return box is not None and float(box[1]) > WIDE * float(box[2])


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")


def escape_markdown(text: object) -> str:
    """Escape a text so that Markdown and the HTML it may become show it as it is."""
    return (
        _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
    )


def markdown_table(rows: Table) -> str:
    """Return rows of one shape as a Markdown table."""
    if not rows:
        return "None."
    heads = list(rows[0])
    lines = ["| " + " | ".join(map(escape_markdown, heads)) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(escape_markdown(row.get(head, "")) for head in heads) + " |" for row in rows]
    return "\n".join(lines)
