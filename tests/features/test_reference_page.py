from pathlib import Path

import pytest

from features.reference_page import reference_page
from features.registry import FEATURE_SETS

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "write it again: .venv/bin/python -m features.reference_page > docs/features.md"
    )


@pytest.mark.parametrize("name", sorted(FEATURE_SETS))
def test_every_defined_column_stands_on_it_with_a_source(name: str) -> None:
    for item in FEATURE_SETS[name].definitions:
        assert item.source
        assert f"| `{name}_{item.name}` | {item.description} |" in reference_page()
