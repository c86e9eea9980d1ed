"""Arithmetic with numbers, percentages and lengths: the value, and what kind of value it is."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.analysis import analyse


@pytest.mark.parametrize(
    ("written", "value", "is_percentage"),
    [
        ("20%", "0.2", True), ("20%/2", "0.1", True), ("20%-10%", "0.1", True), ("2*5%", "0.1", True),
        ("5%*2", "0.1", True), ("20/2", "10", False), ("40%/4%", "10", False), ("40%/0.04", "10", True),
        ("50%*20%", "0.1", False), ("2+8", "10", False), ("2^3+2", "10", False), ("40ep/4ep", "10", False),
    ],
)  # fmt: skip
def test_a_percentage_stays_one_where_only_it_is_scaled(written: str, value: str, is_percentage: bool) -> None:
    """Metrics in points read `10%` as 10 and `0.1` as 0.1, so the kind decides when a condition holds."""
    until = dsd_lang.compile(f"dense 5ep lr=1 until val.err < {written}").phases[0].until
    assert until is not None
    assert (until.args[1].value, until.args[1].percent) == (value, is_percentage)


def test_a_negative_metric_is_subtracted_from_zero() -> None:
    until = dsd_lang.compile("dense 5ep lr=1 until -val.acc < 1").phases[0].until
    assert until is not None
    assert [(part.kind, part.value, part.name) for part in until.args[0].args] == [
        ("number", "0", None), ("metric", None, "val.acc"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "length"), [("10ep/4", "2.5ep"), ("3*5it", "15it"), ("5it*3", "15it"), ("2ep+3ep", "5ep"),
                            ("9it-2it", "7it")],
)  # fmt: skip
def test_lengths_are_scaled_and_added(written: str, length: str) -> None:
    assert str(dsd_lang.compile(f"dense {written} lr=1").phases[0].duration.length) == length


@pytest.mark.parametrize("written", ["2ep+3it", "2ep*3ep", "2/3ep", "2ep^2", "2ep+1", "5%-1it"])
def test_what_has_no_meaning_is_refused(written: str) -> None:
    assert [item.code for item in analyse(f"dense {written} lr=1").errors] == ["DSD209"]


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
def test_every_comparison_is_one_of_a_plan(operator: str) -> None:
    until = dsd_lang.compile(f"dense 5ep lr=1 until val.err {operator} 1").phases[0].until
    assert until is not None
    assert until.op == operator
