"""Cards: every text escaped, nothing from outside, every checklist item there, small counts not shown."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from pipeline.cards.advice import limits_found, next_steps
from pipeline.cards.environment import escape_markdown, markdown_table
from pipeline.cards.facts import Card
from pipeline.cards.flow import (
    HIDDEN,
    attendance_flow,
    file_flow,
    horizon_flow,
    outcome_counts,
    patient_flow,
    worded_count,
    worded_steps,
)
from pipeline.cards.index_page import render_index
from pipeline.cards.render import render_html, render_markdown
from pipeline.cards.section import Section
from pipeline.cards.tables import subgroup_table
from pipeline.cards.tripod import ITEMS, NEEDS_INPUT, tripod_items
from pipeline.cards.wording import interval, number
from pipeline.settings.load import check_study
from tests.workplace import demo_study

STUDY = check_study(demo_study("demo"), Path("study.yaml"))
HOSTILE = '<script>alert(1)</script>"onload="x | [a](b) *c*'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>'


def card(text: str = "plain") -> Card:
    table = [{"part": text, "declared": text}]
    headline = {
        "validation": "new centres",
        "estimate": "0.640",
        "interval": "0.580 to 0.700",
        "interval is of": "the mean over centres",
        "note": "",
    }
    return Card(
        study="demo", study_title=text, outcome="relapse_1y", outcome_title=text, learner="lightgbm",
        learner_description=text, primary=True, public=True, intended_use=text, consent=text, estimand=table,
        patients=table, files=table, predictions=table, eligible="900", events="300", headlines=[headline], ladder=table, metrics=table,
        comparisons=table, subgroups=table, features=table, feature_sets=table,
        certificate=[{"check": text, "result": "passed", "detail": text}],
        planted=[{"planted leak": text, "result": "caught", "by": text}], weights=table, strata=text, model=table,
        limits=(text,), next_steps=(text,), tripod=tripod_items(STUDY, "relapse_1y", "lightgbm"), figures={"calibration": SVG},
        intervals=table, figures_by_rung=table,
        sections=(Section("closer", text, (text,), ((text, table),), ((text, SVG),), {text: "../page.html"}),),
    )  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.tags


def test_hostile_labels_stay_text() -> None:
    for html in (
        render_html(card(HOSTILE)),
        render_index(
            HOSTILE, "demo", [index_row(HOSTILE)], [{"name": "blood", "title": HOSTILE, "claim": HOSTILE}]
        ),
    ):
        found = tags(html)
        assert "script" not in [tag for tag, _ in found]
        assert not [
            attributes for _, attributes in found if any(name.startswith("on") for name in attributes)
        ]
    markdown = render_markdown(card(HOSTILE))
    assert "<script" not in markdown
    assert "[a](b)" not in markdown


def test_a_card_needs_nothing_from_outside() -> None:
    html = render_html(card())
    links = [
        value for _, attributes in tags(html) for key, value in attributes.items() if key in {"src", "href"}
    ]
    assert links
    assert not [
        link for link in links if link and re.match(r"[a-z]+:", link) and not link.startswith("data:")
    ]
    policies = [attributes["content"] for _, attributes in tags(html) if attributes.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_both_forms_hold_every_item_of_the_checklist() -> None:
    written = card()
    for text in (unescape(render_html(written)), render_markdown(written)):
        for item in written.tripod:
            assert item.asks in text
    assert [item.number for item in written.tripod] == list(ITEMS)


def test_the_checklist_says_what_only_a_person_can_answer() -> None:
    without = STUDY.model_copy(update={"limits": ()})
    answers = {item.number: item for item in tripod_items(without, "relapse_1y", "lightgbm")}
    assert answers["18a"].answer == NEEDS_INPUT
    assert not answers["26"].answered
    assert answers["11"].answered


def test_a_card_that_is_not_primary_says_so() -> None:
    assert "not the primary analysis" in render_html(replace(card(), primary=False))
    assert "not the primary analysis" not in render_html(card())


@pytest.mark.parametrize(
    ("count", "smallest", "words"), [(0, 11, "0"), (1, 11, "fewer than 11"), (10, 11, "fewer than 11"), (11, 11, "11"), (3, 0, "3")]
)  # fmt: skip
def test_small_counts_are_not_shown(count: int, smallest: int, words: str) -> None:
    assert worded_count(count, smallest) == words


def test_a_flow_without_small_steps_is_shown_whole() -> None:
    flow = {"patients": [{"step": "in the files", "patients": 500}, {"step": "withdrawn", "patients": 480}]}
    assert [row["removed"] for row in patient_flow(flow, 11)] == ["0", "20"]
    assert [row["patients"] for row in patient_flow(flow, 11)] == ["500", "480"]


@pytest.mark.parametrize(
    "left", [[500, 496, 470], [500, 470, 466], [500, 500, 499, 200, 150], [60, 58, 56, 40], [9, 5]]
)
def test_no_small_removal_follows_from_what_is_shown(left: list[int]) -> None:
    removed, shown = worded_steps(left, 11)
    numbers = [None if words == HIDDEN else int(words.replace(",", "")) for words in shown]
    for (before, after), words in zip(pairwise(numbers), removed[1:], strict=True):
        if before is not None and after is not None:
            assert before == after or before - after >= 11
        assert words == HIDDEN or int(words) == 0 or int(words) >= 11
    hidden = [
        before - after
        for (before, after), words in zip(pairwise(left), removed[1:], strict=True)
        if words == HIDDEN
    ]
    if numbers[-1] is not None and hidden:
        assert len(hidden) > 1
        assert sum(hidden) >= 11


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "not shown"), (0.63951, "0.640"), (1200, "1,200"), (1200.0, "1,200"), (0.5, "0.500")],
)
def test_figures_are_worded_plainly(value: float | None, words: str) -> None:
    assert number(value) == words


def test_an_interval_without_bounds_is_empty() -> None:
    assert interval(None, 0.7) == ""
    assert interval(0.58, 0.7) == "0.580 to 0.700"


def test_markdown_tables_keep_their_columns() -> None:
    table = markdown_table([{"a|b": "x|y\nz"}])
    assert table.splitlines()[2] == f"| {escape_markdown('x|y z')} |"
    assert all(line.count("|") - line.count("\\|") == 2 for line in table.splitlines())


def index_row(text: str) -> dict[str, object]:
    return {
        "href": "../cards/a/b",
        "outcome": text,
        "learner": text,
        "primary": True,
        "headlines": {text: text},
    }


def test_no_figure_reads_minus_zero() -> None:
    assert number(-0.0001) == "0.000"
    assert number(-0.0001, signed=True) == "0.000"
    assert number(0.0004, digits=3, signed=True) == "0.000"
    assert interval(-0.0002, 0.007) == "0.000 to 0.007"
    assert number(-0.0006, signed=True) == "-0.001"


def test_the_outcome_is_counted_with_what_competes_and_small_counts_are_not_to_be_had_by_subtraction() -> (
    None
):
    flow = {"eligible": 403, "events": 130, "competing": 25, "censored": 15}
    said = "events: 130; a competing event first: 25; censored before the horizon: 15"
    assert outcome_counts(flow, 11) == said
    hidden = outcome_counts({**flow, "censored": 3}, 11)
    assert "censored before the horizon: suppressed" in hidden
    assert hidden.count("suppressed") >= 2 or "eligible" not in hidden
    assert outcome_counts({"eligible": 9, "events": 4, "competing": 0, "censored": 0}, 0) == "events: 4"
    seen = {"eligible": 90, "events": 30, "competing": 0, "censored": 0, "unknown": 25}
    assert outcome_counts(seen, 11) == "events: 30; status not known, no visit told it: 25"
    assert outcome_counts({**seen, "unknown": 5}, 11).endswith("no visit told it: suppressed")


def test_the_account_of_a_file_adds_up_or_is_suppressed() -> None:
    item = {
        "source": "blood",
        "role": "predictor",
        "table": "measurements",
        "read": 400,
        "excluded": 20,
        "quarantined": 3,
        "kept": 377,
    }
    (shown,) = file_flow({"files": [item]}, 0)
    assert [shown[key] for key in ("rows read", "excluded", "quarantined", "kept")] == [
        "400",
        "20",
        "3",
        "377",
    ]
    (restricted,) = file_flow({"files": [item]}, 11)
    assert restricted["quarantined"] == HIDDEN
    assert HIDDEN in (restricted["excluded"], restricted["kept"])


def test_subgroups_stand_in_order_and_one_that_nobody_has_recorded_is_none() -> None:
    names = [None, "age_band: 25-34", "age_band: <25", "sex: not recorded"]
    sizes = [90, 60, 30, 90]
    columns = {
        "metric": "auroc",
        "scheme": "random",
        "group": None,
        "fold": None,
        "estimate": 0.6,
        "lower": 0.5,
    }
    frame = pl.DataFrame(
        [
            {**columns, "upper": 0.7, "subgroup": name, "n": n, "events": 20, "note": None}
            for name, n in zip(names, sizes, strict=True)
        ],
        schema_overrides={"group": pl.String, "fold": pl.Int32, "note": pl.String},
    )
    assert [row["subgroup"] for row in subgroup_table(frame)] == ["age band: <25", "age band: 25-34"]


def test_next_steps_and_limits_follow_from_the_results() -> None:
    rows = {"reference": "clinical", "group": None, "metric": "auroc", "scheme": ["random"], "upper": 0.1}
    types = {"group": pl.String}
    unsure = pl.DataFrame({**rows, "lower": -0.1}, schema_overrides=types)
    better = pl.DataFrame({**rows, "lower": 0.05}, schema_overrides=types)
    assert "not shown to be better than clinical" in next_steps(STUDY, "relapse_1y", "lightgbm", unsure)[0]
    assert "above that of clinical" in next_steps(STUDY, "relapse_1y", "lightgbm", better)[0]
    assert limits_found(STUDY, "relapse_1y", 500) == ()
    assert "Fewer than 100 events" in limits_found(STUDY, "relapse_1y", 60)[-1]


def test_only_figures_of_several_panels_take_the_whole_page() -> None:
    for size, wide in (("0 0 259.2 252", False), ("0 0 777.6 252", True)):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}"></svg>'
        html = render_html(replace(card(), figures={"calibration": svg}))
        assert ('<figure class="wide">' in html) is wide


def horizons(*counts: tuple[float, int, int, int, int]) -> dict[str, object]:
    names = ("horizon", "events", "competing", "censored", "free")
    return {"horizons": [dict(zip(names, row, strict=True)) for row in counts], "main_horizon": 365.0}


def test_counts_at_horizons_do_not_give_a_small_step_away() -> None:
    flow = horizons((90.0, 60, 0, 20, 320), (365.0, 100, 20, 60, 220), (730.0, 104, 40, 90, 166))
    public, restricted = horizon_flow(flow, 0), horizon_flow(flow, 11)
    assert [row["events"] for row in public] == ["60", "100", "104"]
    assert [row["horizon"] for row in public] == [
        "3 months (90 days)",
        "1 year (365 days)",
        "2 years (730 days)",
    ]
    # Two years differ from one by four events: hidden whole. Ninety days differ by none that is small.
    assert [row["events"] for row in restricted] == ["60", "100", HIDDEN]
    assert all(HIDDEN not in row.values() for row in restricted[:2])


def test_attendance_hides_what_would_follow_from_the_total() -> None:
    flow = {"attendance": {"by_country": [
        {"country": "FR", "known": 400, "unknown": 5}, {"country": "DE", "known": 300, "unknown": 80},
    ]}}  # fmt: skip
    assert [row["unknown"] for row in attendance_flow(flow, 0)] == ["5", "80"]
    assert {row["unknown"] for row in attendance_flow(flow, 11)} == {HIDDEN}
