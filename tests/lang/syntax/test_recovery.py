"""Broken texts: never an exception, places inside the text, no statement lost, an end within seconds."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd_lang.base.source import SourceText
from dsd_lang.syntax import nodes
from dsd_lang.syntax.parser import MAX_REPORTED, parse
from dsd_lang.syntax.walk import names_bound_by

PROGRAM = """set lr=0.1 decay=step(50%, 75%, by=0.1) noise=symmetric(20%)
base: dense 164ep lr=0.1  # the baseline
fork seeds=5 {
  dsd:     { sparse 50% layers=fc,"layer1.*",/a[12]/ 45ep lr=1e-3; dense 45ep lr=prev/10 }
  largest: { sparse [conv: 30%, fc: 2:4] by=magnitude(order=largest) 45ep; dense restore=@base.500it }
  cosine:  dense 90ep decay=cosine until drop(val.acc) > 2% and falling(entropy.relu, rounds=2)
}
sweep s in 10%, 25%, w in 0, 1e-4 { sparse 0->s 20ep; dense 20ep wd=w }
repeat 8 as i until gain(val.err) < 0.1 { sparse 0.5/2^i 50ep; dense }
compare dsd vs cosine on=test.err test=paired
expect dsd.test.err < cosine.test.err - 0.1
"""
WORDS = "dense sparse set repeat for sweep fork compare expect until held as in vs then and or not lr layers fc"
SIGNS = '{ } ( ) [ ] ; , = == < -> : + - * / ^ @a.500it 50ep 30% 0.5 2:4 "x" \' /a/ # \\ % “ . 日'
PIECES = (*WORDS.split(), *SIGNS.split(), "\t", "\r", "\n", "\x00")


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in parse(text).diagnostics]


def check_places(text: str) -> None:
    source = SourceText(text)
    for diagnostic in parse(text).diagnostics:
        span = diagnostic.span
        assert 0 <= span.start <= span.end <= len(text)
        assert source.span(span.start, span.end) == span
        for edit in diagnostic.fix.edits if diagnostic.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    check_places(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_words(words: list[str]) -> None:
    check_places(" ".join(words))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PROGRAM)), st.integers(0, 15), st.sampled_from(["", *PIECES]))
def test_a_program_with_one_change(start: int, length: int, put_in: str) -> None:
    check_places(PROGRAM[:start] + put_in + PROGRAM[start + length :])


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 9)))
def test_every_statement_of_a_valid_file_is_kept(left_out: set[int]) -> None:
    text = "dense 3ep|sparse 50%|set lr=1|repeat|for x in 1 { dense 3ep }|fork { a: dense 3ep }"
    more = "sweep s in 1 { dense 3ep }|compare a vs b on=x|expect a < b|repeat 2 { dense 3ep }"
    lines = [*text.split("|"), *more.split("|")]
    kept = [line for index, line in enumerate(lines) if index not in left_out]
    for separator in ("\n", ";", " ; \n"):
        result = parse(separator.join(kept))
        assert result.diagnostics == ()
        assert len(result.program.statements) == len(kept)


def test_all_mistakes_of_a_file_at_once() -> None:
    text = "dense 50\nsparse 0.5 layers=\nxyz 3\ndense: dense 3ep\ndense 3ep sparse 3\nset x=(1\ndense 3ep )\n"
    assert codes(text) == ["DSD402", "DSD101", "DSD101", "DSD103", "DSD102", "DSD104", "DSD101"]


def test_the_rest_of_a_broken_phase_is_kept() -> None:
    (phase, after) = parse("a: dense 50ep lr=1e-2 = 3 wd=1\ndense").program.statements
    assert isinstance(phase, nodes.Phase)
    assert phase.label is not None
    assert [type(item).__name__ for item in phase.items] == ["LengthLiteral", "Argument"]
    assert isinstance(after, nodes.Phase)


def test_the_body_of_a_broken_block_is_read() -> None:
    assert codes("for x of 1 {\n dense 3\n}\nrepeat {\n dense 4\n}") == ["DSD101", "DSD402", "DSD101", "DSD402"]


def outline(statement: nodes.Statement) -> object:
    """A phase as its mode and number of items; a loop as its variable and body."""
    if isinstance(statement, nodes.Phase):
        return f"{statement.mode} {len(statement.items)}"
    assert isinstance(statement, nodes.RepeatBlock | nodes.ForBlock)
    return [next((name.text for name in names_bound_by(statement)), None), *map(outline, statement.body)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("dense50ep lr=1; sparse50% 3ep\ndense", ["dense 2", "sparse 2", "dense 0"]),
        ("dense 9ep lr=1\nsparse 0->\ndense 5ep", ["dense 2", "sparse 1", "dense 1"]),
        ("dense 5ep lr=1 ->\ndense 6ep lr=2\ndense", ["dense 2", "dense 2", "dense 0"]),
        ("// note\rdense 5ep lr=1\nsparse 50%; dense", ["dense 2", "sparse 1", "dense 0"]),
        ("for s in 10%, = 20% { sparse s 5ep }\ndense", [["s", "sparse 2"], "dense 0"]),
        ("repeat 2 as i = { dense 3ep }\ndense 5ep", [["i", "dense 1"], "dense 1"]),
    ],
)
def test_one_mistake_leaves_the_statements_around_it(text: str, kept: list[object]) -> None:
    result = parse(text)
    assert [outline(statement) for statement in result.program.statements] == kept
    assert len(result.diagnostics) == (2 if "dense50ep" in text else 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("- a\ndense 6ep", 2),
        ("dense 5ep lr=1 ->\ndense 6ep", 1),
        ("dense 5ep untill val.err < 1 untill val.err < 2\ndense 6ep", 2),
    ],
)
def test_a_mistake_is_reported_once_and_what_follows_is_read(text: str, number: int) -> None:
    result = parse(text)
    assert len(result.diagnostics) == number
    assert outline(result.program.statements[-1]) == "dense 1"


def test_a_range_is_read_by_the_words_of_its_own_line() -> None:
    [ramp] = parse("dense 5ep\nsparse 0..90% 5ep").diagnostics
    [other] = parse("sparse 50% 5ep\ndense 0..90% 5ep").diagnostics
    assert ramp.message == "a ramp is written with `->`"
    assert other.message == "`0..90%` is not a number"


def test_an_unclosed_block_is_blamed_on_the_right_brace() -> None:
    result = parse("fork {\n  a: {\n    dense 3ep\n  b: dense 4ep\n}\ndense 3ep\n")
    assert [(diagnostic.code, diagnostic.span.line) for diagnostic in result.diagnostics] == [("DSD104", 2)]
    assert [type(statement).__name__ for statement in result.program.statements] == ["Fork", "Phase"]


def test_an_end_that_comes_too_soon_points_at_the_last_word() -> None:
    for text in ("dense 3ep lr=", "dense 3ep lr=\n\n", "dense 3ep lr= # why\n"):
        (diagnostic,) = parse(text).diagnostics
        assert text[diagnostic.span.start : diagnostic.span.end] == "="


def test_control_characters() -> None:
    (diagnostic,) = parse("dense 3ep\x07 lr=1\x08").diagnostics
    assert (diagnostic.code, diagnostic.span.line, diagnostic.span.column) == ("DSD105", 1, 10)
    assert "2 such characters" in diagnostic.message
    assert codes("\x00\x01\x02{{{") == ["DSD105"]
    assert codes("dense 3ep # \u202e txt") == ["DSD105"]


def test_reports_are_capped() -> None:
    result = parse("xyz abc\n" * 500)
    assert len(result.diagnostics) == MAX_REPORTED + 1
    assert result.diagnostics[-1].message == "450 more errors are not shown"


def test_words_of_an_expectation() -> None:
    def message(text: str) -> str:
        return parse(text).diagnostics[0].message

    assert message("dense 3ep : x") == "expected a length, an argument or the end of the statement, found `:`"
    assert message("sparse * ") == "expected a target, a length, an argument or the end of the statement, found `*`"
    assert message("dense lr=*") == "expected a value, found `*`"
    assert message("dense until") == "expected a condition, found the end of the file"
    assert message("for x of 1 { }") == "expected `in`, found `of`"
    assert message("sparse [conv: 1 = fc: 2]") == "expected `,` or `]`, found `=`"
    assert message("x: set a=1") == "expected `dense`, `sparse` or `sweep`, found the reserved word `set`"


DICE = random.Random(1)
HOSTILE = {
    "nested braces": "{" * 10_000,
    "nested repeats": "repeat 2 { " * 10_000 + "dense 1ep" + " }" * 10_000,
    "nested forks": "fork { a: { " * 10_000,
    "parentheses": "dense lr=" + "(" * 100_000 + "1" + ")" * 100_000,
    "closing parentheses": ")" * 100_000,
    "signs": "dense lr=" + "-" * 1_000_000,
    "powers": "dense lr=1" + "^1" * 500_000,
    "sum": "dense lr=1" + "+1" * 500_000,
    "not": "expect " + "not " * 250_000,
    "one line of phases": "dense 1ep;" * 100_000,
    "one line without separators": "dense 1ep " * 100_000,
    "one word": "a" * 1_000_000,
    "digits": "dense " + "1" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "slashes": "=/" * 500_000,
    "selectors": "sparse 0.5 layers=" + "fc," * 300_000 + "fc",
    "comments": "#\n" * 500_000,
    "continuations": "\\\n" * 500_000,
    "garbage": "".join(chr(DICE.randrange(1, 256)) for _ in range(1_000_000)),
    "brackets": "".join(DICE.choice("(){}[];\n =,a1") for _ in range(1_000_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_end(name: str) -> None:
    began = time.process_time()
    num_diagnostics = len(parse(HOSTILE[name]).diagnostics)
    assert time.process_time() - began < 5
    assert num_diagnostics > 0
