"""The part of docs/cohort.md that follows from the schemas: canonical tables and the rules of bad values."""

import dataframely as dy

from features.schema import TABLES
from pipeline.intake.values import RULES

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def with_reference(page: str) -> str:
    """Return the page with the text between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """Describe every canonical table, and what happens to a value that breaks a rule, in Markdown."""
    parts = [_table(name, schema) for name, schema in TABLES.items()]
    lines = ["### What happens to a bad value", "", "| found | verdict | what to do |", "|---|---|---|"]
    for rule, (action, refused) in RULES.items():
        lines.append(f"| {rule} | {'refused' if refused else 'quarantined'} | {action} |")
    return "\n".join([*parts, *lines, ""])


def _table(name: str, schema: type[dy.Schema]) -> str:
    lines = [
        f"### {name}",
        "",
        schema.__doc__ or "",
        "",
        "| column | type | key | may be null | allowed |",
        "|---|---|---|---|---|",
    ]
    for column, described in schema.columns().items():
        kind = str(described.dtype).split("(")[0]
        key, null = ("yes" if true else "" for true in (described.primary_key, described.nullable))
        lines.append(f"| {column} | {kind} | {key} | {null} | {_allowed(described)} |")
    return "\n".join([*lines, ""])


def _allowed(column: dy.Column) -> str:
    found = []
    for limit, word in (("min", "from"), ("max", "to"), ("regex", "pattern")):
        value = getattr(column, limit, None)
        if value is not None:
            text = str(value).replace("|", "\\|")
            found.append(f"{word} `{text}`" if limit == "regex" else f"{word} {text}")
    if isinstance(column, dy.Enum):
        found.append(", ".join(str(category) for category in column.categories))
    return " ".join(found)
