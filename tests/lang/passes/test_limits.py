"""Hostile programs end at once in a diagnostic."""

from __future__ import annotations

import time

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.units import exact
from dsd_lang.compiler import compile

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
