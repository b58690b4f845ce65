"""The page of signals as self-contained HTML: every text is escaped, no script, nothing from outside."""

from pathlib import Path
from typing import Any

import jinja2

from experiments.signals.report import verdicts
from experiments.signals.signal import DOMAINS, SignalsReport

TEMPLATES = Path(__file__).parent / "templates"
NOT_TOLD = "suppressed"


def render_signals(study: str, outcome: str, title: str, report: SignalsReport) -> str:
    """Return the page of one outcome.

    Args:
        study: the study's title.
        outcome: the outcome's name.
        title: its title.
        report: what was found.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    rows = report.signals.to_dicts()
    return environment.get_template("signals.html.j2").render(
        study=study,
        outcome=outcome,
        title=title,
        verdicts=verdicts(report.signals),
        domains={name: [row for row in rows if row["domain"] == name] for name in DOMAINS},
        tables={name: [_worded(row) for row in table] for name, table in report.tables.items()},
    )


def _worded(row: dict[str, Any]) -> dict[str, str]:
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> str:
    if value is None:
        return NOT_TOLD
    return f"{100 * value:.0f} %" if isinstance(value, float) else str(value)
