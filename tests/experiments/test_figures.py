"""Figures are equal byte for byte, carry no date, and show names as they are."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments.figures import PALETTE, literal, new_figure, save_svg, shorten, shortened, svg_text


def _drawing() -> str:
    figure, axes = new_figure(4, 3)
    axes.plot([0, 1], [0.2, 0.4], label="a", marker="o")
    axes.fill_between([0, 1], [0.1, 0.3], [0.3, 0.5], alpha=0.2)
    axes.set_title("risk of relapse")
    axes.legend()
    return svg_text(figure)


def test_two_drawings_are_equal_and_hold_no_date_or_version() -> None:
    first, second = _drawing(), _drawing()
    assert first == second
    assert "<dc:date>" not in first
    assert "Matplotlib v" not in first
    assert "<!DOCTYPE" not in first


def test_the_svg_is_whole_and_keeps_its_text(tmp_path: Path) -> None:
    figure, axes = new_figure()
    axes.set_title("risk < 5 & rising")
    save_svg(figure, tmp_path / "figures" / "a.svg")
    root = ElementTree.parse(tmp_path / "figures" / "a.svg").getroot()
    assert root.tag.endswith("svg")
    assert "risk < 5 & rising" in "".join(root.itertext())


def test_panels() -> None:
    _, axes = new_figure(rows=2, columns=3)
    assert axes.shape == (2, 3)


def test_colours_are_told_apart_by_their_lightness_or_hue() -> None:
    assert len(set(PALETTE.values())) == len(PALETTE)


def test_a_dollar_sign_is_drawn_not_parsed() -> None:
    figure, axes = new_figure(3, 2)
    axes.set_title(literal("cost_$x^y and \\frac$"))
    assert "cost_$x^y and \\frac$" in "".join(ElementTree.fromstring(svg_text(figure)).itertext())


@pytest.mark.parametrize(("text", "length"), [("short", 10), ("inflammatory__crp_mean_last_365_days", 20)])
def test_shorten_keeps_both_ends(text: str, length: int) -> None:
    cut = shorten(text, length)
    assert len(cut) <= length
    assert cut[:3] == text[:3]
    assert cut[-3:] == text[-3:]


def test_names_that_would_become_equal_stay_whole() -> None:
    names = ["a" * 20 + "1" + "b" * 20, "a" * 20 + "2" + "b" * 20]
    assert shortened(names, 12) == names
