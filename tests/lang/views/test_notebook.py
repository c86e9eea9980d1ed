"""Plans and graphs are one line in a terminal, a table with a picture in a notebook, and nothing in them is markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import dsd_lang
from dsd_lang.views.notebook import plan_html

TEXT = """
base: dense 5ep lr=0.1
fork {
    a: { sparse 50% layers="enc<script>alert(1)</script>*"; dense }
    b: sparse 30% 3ep from=@base.start
}
"""


class Tags(HTMLParser):
    """Collects the tags, and fails on one that is not closed where it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)
        self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    assert parser.opened == []
    return parser.found


@pytest.fixture
def plan() -> dsd_lang.Plan:
    return dsd_lang.compile(TEXT, source="a<b>.dsd")


def test_one_line_each(plan: dsd_lang.Plan) -> None:
    short = plan.hash.removeprefix("sha256:")[:8]
    assert repr(plan) == str(plan) == f"<Plan of 'a<b>.dsd': 4 phases, 2 branches (a, b), 18ep, hash {short}>"
    assert repr(dsd_lang.compile("dense 10it lr=0.1")).startswith("<Plan: 1 phase, 10it, hash ")
    for names, shown in (("abcd", "4 branches (a, b, c, d)"), ("abcde", "5 branches (a, b, c, d, ...)")):
        assert shown in repr(dsd_lang.compile(f"fork {{ {'; '.join(f'{name}: dense 1ep' for name in names)} }}"))
    assert repr(dsd_lang.PhaseGraph(plan)) == "<PhaseGraph: 4 phases, checkpoints used: 1>"


def test_a_notebook_shows_table_and_timeline_and_runs_nothing(plan: dsd_lang.Plan) -> None:
    html = plan._repr_html_()
    found = tags(html)
    assert found.count("tr") == 5
    assert found.count("svg") == 1
    assert "script" not in found
    assert "&lt;script&gt;" in html
    assert "a&lt;b&gt;.dsd" in html
    graph = dsd_lang.PhaseGraph(plan)._repr_html_()
    assert "svg" in tags(graph)
    assert "script" not in tags(graph)


def test_empty_and_long_plans() -> None:
    assert "table" not in tags(plan_html(dsd_lang.compile("")))
    long = plan_html(dsd_lang.compile("dense 1ep lr=0.1\nrepeat 300 { sparse 50% 1ep; dense 1ep lr=0.1 }"))
    assert "phases in the middle are not shown" in long
    assert tags(long).count("tr") < 200
