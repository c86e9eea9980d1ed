"""Hostile programs end at once in a diagnostic."""

from __future__ import annotations

import time

import pytest

from dsd_lang.analysis import analyse

HOSTILE = [
    "repeat 1000 { repeat 1000 { dense 1ep } }",
    "repeat 10 { " * 60 + "dense 1ep" + " }" * 60,
    "repeat 100000000000 { }",
    "repeat 100000000000 as i { repeat i { } }",
    "repeat 300 as i { repeat i as j { repeat j { dense 1ep } } }",
    "repeat 2^100000 { dense 1ep }",
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
