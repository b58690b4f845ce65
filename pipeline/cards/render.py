"""Cards as Markdown and self-contained HTML: every text is escaped, no script, nothing from outside."""

from pipeline.cards.environment import environment
from pipeline.cards.facts import Card
from pipeline.cards.strata_facts import StrataCard

FIGURES = {
    "calibration": "Calibration: predicted and observed risk, out of fold, with 95 % intervals",
    "decision": "Decision curve: net benefit of acting above a threshold of risk, beside acting on nobody and on everybody",
    "groups": "AUROC in each left-out group, with intervals",
    "shap": "SHAP values of the outer-fold models on their test patients: mean size, spread between folds, direction",
    "beeswarm": "SHAP values, one point a patient (shown because this study's data are public)",
}


def render_html(card: Card) -> str:
    """Return the card as one HTML file without links to anything outside it."""
    return environment(autoescape=True).get_template("card.html.j2").render(card=card, figures=FIGURES)


def render_markdown(card: Card) -> str:
    """Return the card as Markdown; figures are linked in the workspace."""
    return environment(autoescape=False).get_template("card.md.j2").render(card=card, figures=FIGURES)


def render_strata_html(card: StrataCard) -> str:
    """Return a stratification card as one HTML file without links to anything outside it."""
    return environment(autoescape=True).get_template("strata.html.j2").render(card=card)


def render_strata_markdown(card: StrataCard) -> str:
    """Return a stratification card as Markdown, without its figures."""
    return environment(autoescape=False).get_template("strata.md.j2").render(card=card)
