"""The templates of all pages, and what they may do to a text."""

import base64
import re
from pathlib import Path

import jinja2

from pipeline.cards.flow import Table

TEMPLATES = Path(__file__).parent / "templates"
WIDE = 1.9  # width to height
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Return the templates with their filters; undefined names are errors."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["wide"] = _wide
    made.filters["data_uri"] = _data_uri
    made.filters["md"] = escape_markdown
    made.filters["md_table"] = markdown_table
    return made


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
