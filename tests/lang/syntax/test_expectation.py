"""What the grammar takes at a place, and what stands before it."""

from __future__ import annotations

import pytest

from dsd_lang.syntax import nodes
from dsd_lang.syntax.expectation import ExpectedTokens, expected_at
from dsd_lang.syntax.parser import scan
from dsd_lang.syntax.terminals import STATEMENT_WORDS


def expected(text: str) -> ExpectedTokens | None:
    tokens, _ = scan(text.replace("|", ""))
    assert tokens is not None
    return expected_at(tokens, text.index("|"))


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("compare a |vs b", {"VS", "NAME", "SELECTING", "_SEPARATOR", "$END"}),
        ("for x |", {"IN"}),
        ("a: |", {"DENSE", "SPARSE", "SWEEP", "WITHIN", "CALLED"}),
        ("sparse 50% layers=|", {"NAME", "DOTTED", "STRING", "REGEX"}),
        ("fork { |", {"LABEL", "LBRACE", "RBRACE", "DENSE", "SPARSE", "WITHIN", "CALLED", "_SEPARATOR"}),
    ],
)
def test_accepted(text: str, accepted: set[str]) -> None:
    found = expected(text)
    assert found is not None
    assert found.accepted == accepted


def test_what_follows_the_place_does_not_count() -> None:
    here = expected("dense 5ep |lr=1\nsparse } ] nonsense")
    alone = expected("dense 5ep |")
    assert here is not None
    assert alone is not None
    assert here.accepted == alone.accepted


def test_an_open_parenthesis_stays_open_up_to_the_place() -> None:
    found = expected("dense 5ep decay=step(33%, |\nsparse 50%")
    assert found is not None
    assert "NUMBER" in found.accepted
    assert "SELECTING" not in found.accepted
    name = next(item for item in found.before if isinstance(item, nodes.Name))
    assert name.text == "decay"


def test_a_mistake_in_an_earlier_statement_is_mended() -> None:
    found = expected("dense 50ep sparse 0.5\nexpect 3\n|")
    assert found is not None
    assert found.accepted >= STATEMENT_WORDS


def test_a_mistake_in_the_same_statement_leaves_nothing() -> None:
    assert expected("expect 3 3 |") is None
