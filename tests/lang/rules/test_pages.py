"""The manual pages: every code has one, its examples do what it says, and its fix is as safe as it says."""

from __future__ import annotations

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.diagnostics import CATALOGUE, rule_url
from dsd_lang.base.errors import DsdError
from dsd_lang.cli.explain import explain
from dsd_lang.lint.checking import check_text
from dsd_lang.rules import page

HEADINGS = ("What it does", "Why is this bad", "Example", "Use instead", "Fix safety")
NOT_FROM_TEXT = {"DSD105", "DSD207", "DSD409"}  # not seen on a page; `dsd-run` reports it; a model is needed for it
ALL = frozenset(CATALOGUE)
SAFETY = {"safe": "Safe", "unsafe": "Unsafe", "display": "Display only", None: "There is no automatic fix."}


def part(code: str, heading: str) -> str:
    text = page(code) or ""
    after = text.split(f"\n{heading}\n{'-' * len(heading)}\n", 1)[1]
    return next((after.split(f"\n\n{other}\n---", 1)[0] for other in HEADINGS if f"\n\n{other}\n---" in after), after)


def example(code: str, heading: str) -> str:
    lines = part(code, heading).split("::\n\n", 1)[1].rstrip("\n").split("\n")
    assert all(line.startswith("    ") or not line for line in lines), lines
    return "\n".join(line[4:] for line in lines)


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_has_its_page(code: str) -> None:
    text = page(code) or ""
    assert text.split("\n", 1)[0].endswith(".")
    places = [text.index(f"\n{heading}\n{'-' * len(heading)}\n") for heading in HEADINGS]
    assert places == sorted(places)
    assert all(part(code, heading).strip() for heading in HEADINGS)


@pytest.mark.parametrize("code", [code for code in CATALOGUE if code not in NOT_FROM_TEXT])
def test_the_example_has_the_mistake_and_its_cure_has_none(code: str) -> None:
    assert code in {item.code for item in check_text(example(code, "Example"), selected=ALL)}
    cured = example(code, "Use instead") + "\n"
    assert code not in {item.code for item in check_text(cured, selected=ALL)}
    assert not analyse(cured).errors


@pytest.mark.parametrize("code", [code for code in CATALOGUE if code not in NOT_FROM_TEXT])
def test_a_fix_is_as_safe_as_its_page_says(code: str) -> None:
    found = next(item for item in check_text(example(code, "Example"), selected=ALL) if item.code == code)
    applicability = None if found.fix is None else found.fix.applicability
    assert part(code, "Fix safety").startswith(SAFETY[applicability]), (code, applicability)


def test_there_is_no_page_for_another_word() -> None:
    assert page("DSD999") is None


def test_explain() -> None:
    assert explain("DSD303").startswith("DSD303 ends-sparse (warning)\n============================\n\nThe last phase")
    assert explain("ends-sparse") == explain("dsd303")
    assert explain("DSD407").startswith("DSD407 paper-range (advice, off by default)\n")
    assert explain("DSD303").endswith(f"{rule_url('DSD303')}\n")
    assert all(f"\n{entry.code} {entry.name} (" in f"\n{explain('all')}" for entry in CATALOGUE.values())
    with pytest.raises(DsdError, match="unknown rule `ends-spars`") as caught:
        explain("ends-spars")
    assert caught.value.help == "did you mean `ends-sparse`?"


def test_the_address_of_a_page() -> None:
    assert rule_url("DSD902") == "https://dsd-lang.readthedocs.io/en/stable/rules/not-canonical/"
    assert rule_url("DSD902", docs_url="https://example.org/d") == "https://example.org/d/rules/not-canonical/"
