"""Divides a target ratio among tensors; `uniform` gives every tensor the same ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from dsd_lang.base.units import keep_count


@dataclass(frozen=True, slots=True)
class Allocation:
    """How many weights each tensor keeps, and the tensors for which the minimum raised that number."""

    keep: Mapping[str, int]
    kept_by_minimum: tuple[str, ...]


def uniform(competing: Mapping[str, int], pruned: Fraction, *, minimum: int) -> Allocation:
    """The same ratio for each tensor (`scope=layer`): k = N - round_half_even(s N), at least `minimum`.

    `competing` is the number of weights that compete: a tensor's size, or its unpruned weights with `of=remaining`.
    """
    keep = {name: keep_count(count, pruned, minimum=minimum) for name, count in competing.items()}
    exact = {name: keep_count(count, pruned, minimum=0) for name, count in competing.items()}
    return Allocation(keep, tuple(name for name in keep if keep[name] > exact[name]))


def total(competing: Mapping[str, int], pruned: Fraction) -> int:
    """How many weights are kept in all tensors together (`scope=global`)."""
    return keep_count(sum(competing.values()), pruned, minimum=0)
