"""Stage: write the card of one stratification, in Markdown and self-contained HTML."""

import argparse
from pathlib import Path

from pipeline.cards.render import render_strata_html, render_strata_markdown
from pipeline.cards.strata_facts import read_strata_card
from pipeline.files import replaced_folder, write_text
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("name")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(name: str, workspace: Path, out: Path) -> None:
    """Write the card."""
    card = read_strata_card(load_parameters(), name, workspace)
    with replaced_folder(out) as folder:
        write_text(render_strata_html(card), folder / "card.html")
        write_text(render_strata_markdown(card), folder / "card.md")
