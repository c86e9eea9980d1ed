"""Divides a target among tensors: `uniform` gives each the same ratio, `er` and `erk` give small layers more.

Counts are whole and exact: those of `er` and `erk` add up to what one tensor of the whole size would keep. What is
counted are weights, or units of them (`unit=`). Written once: counts of a plan and the runtime's masks both call it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import floor, prod

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import keep_count


class Tensor(NamedTuple):
    """One tensor that takes part: how many weights (or units) compete, how many it has, and its shape.

    With `of=remaining` only those that are not pruned yet compete. ``input_dim`` is the dimension of its inputs.
    """

    competing: int
    size: int
    shape: tuple[int, ...]
    input_dim: int = 1


class Allocation(NamedTuple):
    """How many weights (or units) each tensor keeps, and the tensors for which the minimum raised that number."""

    keep: Mapping[str, int]
    kept_by_minimum: tuple[str, ...]


def allocate(method: str, tensors: Mapping[str, Tensor], pruned: Fraction, *, minimum: int) -> Allocation:
    """What each tensor keeps if ``pruned`` of all competitors are pruned; at least ``minimum`` of each tensor.

    ``method`` names one of :data:`ALLOCATIONS`. Raises ``ValueError`` for another name.
    """
    if method not in ALLOCATIONS:
        raise ValueError(f"unknown allocation `alloc={method}`; expected one of {', '.join(ALLOCATIONS)}")
    keep = ALLOCATIONS[method](tensors, pruned, minimum)
    exact = ALLOCATIONS[method](tensors, pruned, 0)
    return Allocation(keep, tuple(name for name in keep if keep[name] > exact[name]))


def total(competing: Mapping[str, int], pruned: Fraction) -> int:
    """How many are kept in all tensors together (`scope=global`)."""
    return keep_count(sum(competing.values()), pruned, minimum=0)


def _uniform(tensors: Mapping[str, Tensor], pruned: Fraction, minimum: int) -> dict[str, int]:
    """The same ratio for each tensor: k = N - round_half_even(s N)."""
    return {name: keep_count(tensor.competing, pruned, minimum=minimum) for name, tensor in tensors.items()}


def _er(tensors: Mapping[str, Tensor], pruned: Fraction, minimum: int) -> dict[str, int]:
    """Erdos-Renyi: the density is proportional to (n_in + n_out) / (n_in n_out) (Mocanu et al. 2018, equation 1)."""
    return _proportional(tensors, pruned, minimum, _density_without_kernel)


def _erk(tensors: Mapping[str, Tensor], pruned: Fraction, minimum: int) -> dict[str, int]:
    """With the kernel: (n_in + n_out + w + h) / (n_in n_out w h) (Evci et al. 2020, section 3)."""
    return _proportional(tensors, pruned, minimum, _density_with_kernel)


def _density_without_kernel(tensor: Tensor) -> Fraction:
    if len(tensor.shape) < 2:
        return Fraction(1)
    num_in = tensor.shape[tensor.input_dim]
    num_out = tensor.shape[0 if tensor.input_dim else 1]
    return Fraction(num_in + num_out, num_in * num_out)


def _density_with_kernel(tensor: Tensor) -> Fraction:
    return Fraction(sum(tensor.shape), prod(tensor.shape)) if tensor.shape else Fraction(1)


Method = Callable[[Mapping[str, Tensor], Fraction, int], dict[str, int]]
ALLOCATIONS: dict[str, Method] = {"uniform": _uniform, "erk": _erk, "er": _er}
"""The registry of allocations, by their names in a schedule."""


class _Share(NamedTuple):
    """One tensor's part of the total: ``weight`` times the common factor, but not outside ``least`` to ``most``."""

    weight: Fraction
    least: int
    most: int

    def at(self, factor: Fraction) -> Fraction:
        return min(max(factor * self.weight, Fraction(self.least)), Fraction(self.most))


def _proportional(
    tensors: Mapping[str, Tensor], pruned: Fraction, minimum: int, density: Callable[[Tensor], Fraction]
) -> dict[str, int]:
    """Counts of the given relative densities whose sum is exact.

    The common factor (epsilon in the papers) is the one with which the counts add up, tensors that would exceed the
    density 1 being dense; it is found exactly. Fractions are rounded down, and what is missing to the sum goes to the
    largest remainders, of equal ones to the first tensor.
    """
    keep = total({name: tensor.competing for name, tensor in tensors.items()}, pruned)
    weights = [density(tensor) * tensor.size if tensor.size else Fraction(1) for tensor in tensors.values()]
    shares = [
        _Share(weight, min(minimum, tensor.competing), tensor.competing)
        for weight, tensor in zip(weights, tensors.values(), strict=True)
    ]
    factor = _common_factor(shares, keep)
    counts = divide_exactly(keep, [share.at(factor) for share in shares])
    return dict(zip(tensors, counts, strict=True))


def _common_factor(shares: Sequence[_Share], keep: int) -> Fraction:
    """The factor with which the shares add up to ``keep``; the nearest possible one if they cannot."""
    points = sorted({Fraction(bound) / share.weight for share in shares for bound in (share.least, share.most)})

    def sum_at(factor: Fraction) -> Fraction:
        return sum((share.at(factor) for share in shares), Fraction(0))

    index = bisect_left(
        points, Fraction(keep), key=sum_at
    )  # the sum grows with the factor, linearly between two points
    if index in (0, len(points)):
        return points[min(index, len(points) - 1)] if points else Fraction(0)
    below, above = points[index - 1], points[index]
    first, last = sum_at(below), sum_at(above)
    return below + (above - below) * (keep - first) / (last - first)


def divide_exactly(keep: int, parts: Sequence[Fraction]) -> list[int]:
    """Whole numbers near the parts that add up to ``keep``: the largest remainders are rounded up, the first of equals.

    If the parts are whole they stay as they are.

    >>> divide_exactly(5, [Fraction(5, 2), Fraction(5, 4), Fraction(5, 4)])
    [3, 1, 1]
    """
    counts = [floor(part) for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda index: (counts[index] - parts[index], index))
    for index in by_remainder[: max(0, keep - sum(counts))]:
        if parts[index] != counts[index]:
            counts[index] += 1
    return counts
