"""The page "Which tool has it": every method of the registries has a row, and what the page says of runs was seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_peers import ANSWERS, FAMILIES, methods_of_peers, option_of, peers, rows_of

import dsd_lang
from dsd_lang.base.arguments import BY_NAME

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "how-to" / "which-tool.md").read_text(encoding="utf-8")
RESULTS = (REPOSITORY / "benchmarks" / "results" / "2026-11-22-peer-methods.md").read_text(encoding="utf-8")
NO_METHOD = {("unit", "weight"), ("update", "none")}
ARGUMENTS = ("by", "scope", "unit", "alloc", "update", "enforce")
OPTIONS = [(name, option.name) for name in ARGUMENTS for option in BY_NAME[name].options]
METHODS = [row for row in OPTIONS if row not in NO_METHOD]


@pytest.mark.parametrize(("argument", "option"), METHODS, ids="=".join)
def test_every_method_has_one_row(argument: str, option: str) -> None:
    assert [row.get("option") for row in peers()["row"]].count(f"{argument}={option}") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_own_column_is_what_the_registry_says(family: str) -> None:
    cells = [line.split(" | ")[1] for line in methods_of_peers(family).splitlines()[2:]]
    for row, cell in zip(rows_of(family), cells, strict=True):
        option = option_of(row)
        expected = (
            row.get("dsd", "") if option is None else ("yes" if option.is_supported else "no, in the grammar only")
        )
        assert cell == expected.replace("|", "\\|")


def test_every_cell_begins_with_an_answer_and_every_row_is_in_a_table() -> None:
    keys = {tool["key"] for tool in peers()["tool"]}
    for row in peers()["row"]:
        assert row["family"] in FAMILIES
        assert set(row) <= keys | {"family", "option", "name", "dsd", "schedule", "proof"}
        for key in keys & set(row):
            assert row[key].startswith(ANSWERS), row
        assert ("option" in row) != ("name" in row)


def test_what_dsd_says_of_itself_compiles_or_is_there() -> None:
    for row in peers()["row"]:
        if "schedule" in row:
            dsd_lang.compile(row["schedule"])
        elif "option" not in row and row["dsd"].startswith("yes"):
            assert (REPOSITORY / row["proof"]).exists()


def test_figures_and_versions_stand_in_the_results() -> None:
    seen = " ".join(PAGE.partition("## What was seen")[2].partition("## Versions")[0].split())
    figures = re.findall(r"\b\d+ of \d+\b|\b\d\.\d+\b", seen.replace("320 weights of 192", "counts 320"))
    assert len(figures) > 2
    assert [figure for figure in figures if figure not in RESULTS] == []
    run = [tool["version"].split()[-1] for tool in peers()["tool"] if tool["checked"].startswith(("run", "PAT run"))]
    assert len(run) == 8
    assert [version for version in run if f"| {version} |" not in RESULTS] == []
