"""Counts by tensor: the densities of the papers by hand, exact sums, bounds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsd_lang.base.units import keep_count
from dsd_lang.plan.allocation import ALLOCATIONS, Tensor, allocate, divide_exactly

HALF = Fraction(1, 2)


def tensor(*shape: int, competing: int | None = None) -> Tensor:
    size = 1
    for extent in shape:
        size *= extent
    return Tensor(size if competing is None else competing, size, shape)


def test_er_by_hand() -> None:
    """(n_in + n_out) epsilon weights: 30 and 50 parts of 100 + 600 weights, of which 240 stay."""
    tensors = {"a": tensor(10, 20), "b": tensor(20, 30)}
    assert allocate("er", tensors, Fraction(7, 10), minimum=1).keep == {"a": 90, "b": 150}


def test_erk_by_hand() -> None:
    """With the kernel 8 + 4 + 3 + 3 parts; without it 12 for each of the 9 positions."""
    tensors = {"conv": tensor(8, 4, 3, 3), "fc": tensor(20, 20)}
    assert allocate("erk", tensors, Fraction(3, 4), minimum=1).keep == {"conv": 53, "fc": 119}  # 172 x 18 / 58 = 53.4
    assert allocate("er", tensors, Fraction(3, 4), minimum=1).keep == {"conv": 126, "fc": 46}  # 172 x 108 / 148 = 125.5


def test_a_layer_past_density_1_stays_dense_and_the_rest_is_solved_again() -> None:
    tensors = {"head": tensor(2, 3), "a": tensor(50, 50), "b": tensor(100, 100)}
    found = allocate("erk", tensors, HALF, minimum=1)
    assert found.keep == {"head": 6, "a": 2082, "b": 4165}  # 6,253 of 12,506: 6 and then 100 to 200 parts
    assert allocate("erk", tensors, Fraction(0), minimum=1).keep == {"head": 6, "a": 2500, "b": 10000}


def test_the_minimum_is_within_the_total() -> None:
    tensors = {"a": tensor(2, 2), "b": tensor(100, 100)}
    found = allocate("erk", tensors, Fraction(99, 100), minimum=4)
    assert found == ({"a": 4, "b": 96}, ("a",))
    nothing = allocate("erk", tensors, Fraction(1), minimum=3)
    assert nothing == ({"a": 3, "b": 3}, ("a", "b"))
    assert allocate("erk", tensors, Fraction(1), minimum=0) == ({"a": 0, "b": 0}, ())


def test_what_is_pruned_already_takes_no_part() -> None:
    tensors = {"a": tensor(10, 20, competing=30), "b": tensor(20, 30, competing=600), "c": tensor(4, 4, competing=0)}
    assert allocate("er", tensors, Fraction(7, 10), minimum=1).keep == {"a": 30, "b": 159, "c": 0}


def test_vectors_and_empty_tensors() -> None:
    tensors = {"bias": tensor(5), "none": tensor(0, 4), "a": tensor(50, 50)}
    assert allocate("erk", tensors, HALF, minimum=1).keep == {"bias": 5, "none": 0, "a": 1248}
    assert allocate("er", {}, HALF, minimum=1).keep == {}


def test_an_unknown_method_is_told() -> None:
    with pytest.raises(ValueError, match="unknown allocation `alloc=erc`"):
        allocate("erc", {}, HALF, minimum=1)


@st.composite
def tensors_of(draw: st.DrawFn) -> dict[str, Tensor]:
    shapes = draw(st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=4), min_size=1, max_size=6))
    found = {}
    for number, shape in enumerate(shapes):
        whole = tensor(*shape)
        found[str(number)] = whole._replace(competing=draw(st.integers(0, whole.size)))
    return found


@given(tensors_of(), st.fractions(0, 1), st.integers(0, 4), st.sampled_from(sorted(ALLOCATIONS)))
def test_counts_are_exact_and_within_bounds(
    tensors: dict[str, Tensor], pruned: Fraction, minimum: int, method: str
) -> None:
    keep = allocate(method, tensors, pruned, minimum=minimum).keep
    for name, one in tensors.items():
        assert min(minimum, one.competing) <= keep[name] <= one.competing
    if method == "uniform":
        assert keep == {name: keep_count(one.competing, pruned, minimum=minimum) for name, one in tensors.items()}
    else:
        least = sum(min(minimum, one.competing) for one in tensors.values())
        exact = keep_count(sum(one.competing for one in tensors.values()), pruned, minimum=0)
        assert sum(keep.values()) == max(least, exact)


@given(st.lists(st.fractions(0, 50), min_size=1, max_size=8))
def test_remainders_are_divided_exactly(parts: list[Fraction]) -> None:
    total = sum(parts)
    counts = divide_exactly(int(total), [part * int(total) / total if total else part for part in parts])
    assert sum(counts) == int(total)


def test_a_large_model_is_divided_exactly() -> None:
    tensors = {str(number): tensor(64 + number, 3 + number % 7, 3, 3) for number in range(500)}
    keep = allocate("erk", tensors, Fraction(9, 10), minimum=1).keep
    assert sum(keep.values()) == keep_count(sum(one.size for one in tensors.values()), Fraction(9, 10))
