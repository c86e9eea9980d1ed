"""Hostile programs end at once in a diagnostic."""

from __future__ import annotations

import time

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.units import exact
from dsd_lang.compiler import compile
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.measure_program import count_phases

HOSTILE = [
    "repeat 1000 { repeat 1000 { dense 1ep } }",
    "repeat 10 { " * 60 + "dense 1ep" + " }" * 60,
    "repeat 100000000000 { }",
    "repeat 100000000000 as i { repeat i { } }",
    "repeat 300 as i { repeat i as j { repeat j { dense 1ep } } }",
    "repeat 2^100000 { dense 1ep }",
    "fork seeds=1e300 { }",
    "fork seeds=1 seeds=10000000000 { a: dense 1ep }",
    "fork seeds=100000000 { a: dense 1ep }",
    "dense 1ep; sparse 50%; dense; repeat 100000000",
    "sweep " + ", ".join(f"a{k} in " + ", ".join(map(str, range(1, 60))) for k in range(20)) + " { dense 1ep }",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_too_large_is_found_before_expanding(text: str) -> None:
    started = time.process_time()
    codes = {item.code for item in analyse(text).diagnostics}
    assert "DSD405" in codes
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "dense 1ep lr=2^100000",
        "dense 1ep lr=" + "2^" * 50 + "2",
        "dense 1ep lr=" + "(" * 5000 + "1" + ")" * 5000,
        "dense 1ep lr=" + "1+" * 5000 + "1",
        "dense 1ep until " + "val.err < 1 and " * 3000 + "val.err < 2",
        "repeat 2 {" * 10000,
        "".join(" " * depth + "repeat 2:\n" for depth in range(105)) + " " * 105 + "dense 1ep",
        "dense 1ep lr=1/0",
        "dense 0.1e999epeat",
        "dense 1e401epochs lr=8e–999",
        "dense 5ep lr=1e401",
        "dense 5ep lr=1.1e300",
        "dense 5ep lr=0.9e-300",
        "dense 5ep lr=1e200*1e200",
        "dense 5ep lr=1e-200*1e-200",
        "dense " + "9" * 10_000 + "ep",
        "dense 5ep lr=1e" + "9" * 10_000,
        "dense 5ep lr=1e-999999",
        "sparse 501e-400% 9ep; sparse 20% 7it",
        "a: dense 5ep lr=1; dense from=@a." + "9" * 5000 + "ep",
        "a: dense 5ep lr=1; dense from=@a.²start",
        "((((" * 5000,
        "{{{{" * 5000,
        "dense 5ep \0",
        "\0" * 1000,
        'set model="\ud800"',
        "\ud83d: dense 5ep",
        "\ufeff\ufeffdense 5ep",
        "dense 1ep lr=1; repeat 40000 { dense lr=prev/3 }",
        "dense 1ep lr=1; sparse 50%; dense; repeat 5000",
        "repeat 2000 as i { sparse 1/2^i 1ep }",
    ],
)
def test_numbers_and_nesting_out_of_range_are_errors(text: str) -> None:
    started = time.process_time()
    assert analyse(text).errors
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense 1ep lr=2^100000", "this power has more than 400 digits"),
        ("dense 1ep lr=0.5^100000", "this power has more than 400 digits"),
        ("dense 1ep lr=1e-200*1e-200", "this number is out of range"),
        ("repeat x + 2^100000 { dense 1ep lr=1 }", "the program expands past 100,000 phases"),
        ("dense 1ep lr=" + "1+" * 101 + "1", "this expression nests more than 100 operations"),
        ("dense 1ep until " + "not " * 60 + "val.err < " + "1+" * 60 + "1",
         "this expression nests more than 100 operations"),
    ],
)  # fmt: skip
def test_a_limit_is_named(text: str, message: str) -> None:
    assert [item.message for item in analyse(text).errors] == [message]


@pytest.mark.parametrize("number", [100, 101])
def test_blocks_without_braces_have_the_depth_of_blocks_with_them(number: int) -> None:
    text = "".join(" " * depth + "repeat 1:\n" for depth in range(number)) + " " * number + "dense 1ep"
    is_too_deep = "blocks nest deeper than 100" in [item.message for item in analyse(text).errors]
    assert is_too_deep == (number > 100)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("dense 1ep; sparse 50%; dense; repeat 2", 7),
        ("repeat 4 { dense 1ep; dense }", 8),
        ("repeat 3 as i { repeat i + 1 { dense 1ep } }", 6),
        ("for x in 1ep, 2ep, 3ep { dense x }", 3),
        ("for n in 2, 3 { for m in 1, 2 { repeat n * m { dense 1ep } } }", 15),
        ("for n in 2 { for m in 3 { repeat n { dense 1ep } } }", 2),
        ("sweep n in 2, 3, m in 1, 2 { repeat n * m { dense 1ep } }", 15),
        ("sweep s in 10%, 20%, w in 0, 1, 2 { sparse s 1ep wd=w }", 6),
        ("fork seeds=3 { a: { dense 1ep; dense }  b: dense 1ep }", 9),
    ],
)
def test_phases_are_counted_before_they_are_made(text: str, number: int) -> None:
    analysis = analyse(text)
    assert analysis.resolved is not None
    assert len(analysis.resolved.book.phases) == number
    assert count_phases(analysis.program, Diagnostics()) == number


def test_copies_of_a_long_run_in_many_branches_are_stopped_when_they_are_made() -> None:
    run = "sparse 10% 1ep lr=1; " + "sparse 10%; " * 19 + "dense; repeat 40 scale=1"
    assert [item.message for item in analyse(f"fork seeds=120 {{ a: {{ {run} }} }}").errors] == [
        "the program expands past 100,000 phases"
    ]


def test_a_large_program_compiles() -> None:
    analysis = analyse("dense 1ep lr=1; repeat 9000 { sparse 50% 1ep; dense lr=prev }")
    assert analysis.resolved is not None
    assert len(analysis.resolved.book.phases) == 18001


@pytest.mark.parametrize(
    "text", ["\ufeffdense 5ep", "dense 5ep\r\nsparse 50%\r\ndense lr=1\r\n", "dense 5ep\rdense", "\r"]
)
def test_marks_of_other_editors_are_no_mistakes(text: str) -> None:
    assert not analyse(text).errors


def test_numbers_at_the_end_of_their_range_are_written_and_read_back() -> None:
    for number in ("1e300", "1e-300", "5e-300", "0." + "9" * 400, "9" * 300):
        plan = compile(f"dense 5ep lr={number}")
        assert exact(plan.phases[0].lr.start or "") == exact(number)
