"""Which modalities a row has."""

import polars as pl

from models.modalities import columns_by_modality, modality_patterns

MODALITIES = {"madrs": "clinical", "sex": "clinical", "crp": "blood", "il6": "blood", "elsewhere": "genetic"}
X = pl.DataFrame(
    {
        "spare": [1.0] * 5,
        "madrs": [20.0, None, float("nan"), None, float("nan")],
        "sex": ["f", "m", None, None, None],
        "crp": [1.0, None, 2.0, None, float("nan")],
        "il6": [None, float("nan"), None, 3.0, None],
    }
)


def test_a_row_lacks_a_modality_when_all_its_columns_are_missing() -> None:
    assert modality_patterns(X, MODALITIES) == ["blood + clinical", "clinical", "blood", "blood", "none"]


def test_patterns_follow_neither_row_nor_column_order() -> None:
    turned = X.select(sorted(X.columns, reverse=True)).reverse()
    assert modality_patterns(turned, MODALITIES) == modality_patterns(X, MODALITIES)[::-1]


def test_no_rows_and_no_modalities() -> None:
    assert modality_patterns(X.head(0), MODALITIES) == []
    assert modality_patterns(X, {}) == ["none"] * 5


def test_columns_are_sorted_within_sorted_modalities() -> None:
    assert columns_by_modality(MODALITIES, ("sex", "spare", "madrs", "crp")) == {
        "blood": ("crp",),
        "clinical": ("madrs", "sex"),
    }
