"""The tables of the reference are those of the code, and cover every row of it."""

from __future__ import annotations

from pathlib import Path

import docs_tables
import pytest
from docs_markers import ALL_TABLES, with_marked_parts

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.layers import KINDS, PARTS, ROLES

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_what_is_marked_as_made_is_as_it_is_made(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_marked_parts(text) == text, "run `python tools/refresh_docs.py`"


def test_the_reference_shows_every_table() -> None:
    pages = "".join(
        (DOCS / name).read_text(encoding="utf-8")
        for name in ("language.md", "engine.md", "how-to/which-tool.md", "methods/index.md")
    )
    assert [name for name in ALL_TABLES if f"<!-- table: {name} -->" not in pages] == []


@pytest.mark.parametrize("group", docs_tables.GROUPS)
def test_a_row_says_all_that_the_code_knows_of_an_argument(group: str) -> None:
    rows = {line.split("`")[1].rstrip("="): line for line in docs_tables.arguments_table(group).splitlines()[2:]}
    assert list(rows) == [argument.name for argument in ARGUMENTS if argument.group == group]
    for name, row in rows.items():
        argument = BY_NAME[name]
        assert argument.meaning in row
        assert argument.default in row
        assert row.rstrip(" |").endswith(", ".join(argument.places))
        for option in argument.options:
            assert f"`{option.name}" in row
            for parameter in option.named:
                assert f"{parameter}=" in row


def test_refused_values_are_marked() -> None:
    scope = BY_NAME["scope"]
    partly = scope._replace(options=tuple(one._replace(is_supported=len(one.name) > 5) for one in scope.options))
    assert docs_tables._values_and_meaning(partly)[0] == "`global`; *refused:* `layer`, `row`, `group`"
    assert "refused" not in docs_tables.arguments_table("rate")
    assert "refused" not in docs_tables.arguments_table("overrides")
    unsupported = BY_NAME["freeze"]._replace(is_supported=False)
    assert docs_tables._values_and_meaning(unsupported)[0] == "selectors; *refused* but for the default"


def test_every_kind_of_value_has_words() -> None:
    assert set(docs_tables.VALUES) == {row.kind for row in ARGUMENTS}


def test_every_selector_and_code_has_a_row() -> None:
    selectors = docs_tables.selectors_table()
    assert [
        word for word in (*KINDS, *ROLES, *(f".{part}" for part in PARTS)) if f"| `{word}` |" not in selectors
    ] == []
    codes = docs_tables.codes_table()
    for entry in CATALOGUE.values():
        assert f"| {entry.code} | {entry.name} | {docs_tables.severity_text(entry.code)} |" in codes
