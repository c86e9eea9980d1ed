"""Every rule has a page in the site, at the address that its diagnostics give."""

from __future__ import annotations

import docs_rules
import pytest

from dsd_lang.base.diagnostics import CATALOGUE, DOCS_URL, rule_url

HEADINGS = ("What it does", "Why is this bad", "Example", "Use instead", "Fix safety")


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_page_has_every_part(code: str) -> None:
    page = docs_rules.rule_pages()[docs_rules.rule_path(code)]
    assert page.startswith(f"# {CATALOGUE[code].name} ({code})\n")
    assert [heading for heading in HEADINGS if f"\n## {heading}\n" not in page] == []
    assert "::" not in page


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_page_stands_where_diagnostics_point(code: str) -> None:
    path = docs_rules.rule_path(code).removesuffix(".md") + "/"
    assert rule_url(code) == f"{DOCS_URL}{path}"


def test_the_index_and_the_navigation_have_every_rule_once() -> None:
    index = docs_rules.index_page()
    linked = [
        path
        for family in docs_rules.navigation()
        for pages in family.values()
        for page in pages
        for path in page.values()
    ]
    assert linked == [docs_rules.rule_path(code) for code in CATALOGUE]
    for code, entry in CATALOGUE.items():
        assert index.count(f"| {code} | [{entry.name}]({entry.name}.md) |") == 1


def test_a_page_shows_the_diagnostic_as_it_is_printed() -> None:
    page = docs_rules.rule_page("DSD303")
    assert "warning[DSD303]: the schedule ends with a sparse phase" in page
    assert " --> example.dsd:1:13" in page


def test_most_examples_show_their_diagnostic() -> None:
    """Not that of bytes which are no text, of what a later version executes, and not what a model decides."""
    assert [code for code in CATALOGUE if not docs_rules.rendered_example(code)] == ["DSD105", "DSD207", "DSD409"]
