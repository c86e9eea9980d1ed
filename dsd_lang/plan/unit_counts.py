"""How many weights a selection keeps, as far as that follows from shapes: by scope, allocation and unit.

Weights that compete with each other are a pool: one tensor, with `scope=global` all, with `scope=group` those of a
group. A selection leaves a structure: its unit, so that later selections of the same units know how many are left, and
`row` where all rows of a tensor have equally many.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dsd_lang.base.layers import WeightInfo
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import keep_count
from dsd_lang.plan.allocation import Tensor, allocate
from dsd_lang.plan.weight_units import WEIGHT, Unit, grid_of, matrix_of_weight

Alive = int | None


class Rule(NamedTuple):
    """How a phase selects: `scope=`, `alloc=`, `unit=`, `min=`, and the share that is pruned."""

    scope: str
    alloc: str
    unit: Unit
    minimum: int
    pruned: Fraction

    @property
    def structure(self) -> str:
        """What it leaves in a pool."""
        return "" if self.unit == WEIGHT else str(self.unit)


class Standing(NamedTuple):
    """A pool before the selection: its weights, how many are alive if that is known, and their structure."""

    weights: tuple[WeightInfo, ...]
    alive: Alive
    structure: str

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(weight.size for weight in self.weights)


class _Pool(NamedTuple):
    """A pool in units: how many there are and compete, and the weights of each if they are all of one size."""

    standing: Standing
    units: int
    competing: Alive
    unit_size: Alive

    def weights_of(self, kept: int) -> Alive:
        """The weights of so many units."""
        if kept in (0, self.units):
            return self.standing.size if kept else 0
        return None if self.unit_size is None else kept * self.unit_size


Kept = tuple[Alive, str]
"""How many weights of a pool are alive afterwards, None if it depends on their values; and their structure."""


def count_kept(rule: Rule, pools: Sequence[Standing], *, is_remaining: bool) -> list[Kept]:
    """What is kept of each pool of one target; with ``is_remaining`` only the alive compete."""
    counted = [_in_units(rule, pool, is_remaining=is_remaining) for pool in pools]
    if rule.scope in ("global", "group"):
        return [_of_pool(rule, pool) for pool in counted]
    if rule.scope == "row" and rule.alloc == "uniform":
        return [_of_rows(rule, pool) for pool in counted]
    return _of_tensors(rule, counted)


def _in_units(rule: Rule, standing: Standing, *, is_remaining: bool) -> _Pool:
    matrices = [matrix_of_weight(weight) for weight in standing.weights]
    blocks = [rule.unit.block(matrix) for matrix in matrices]
    grids = [grid_of(matrix, block) for matrix, block in zip(matrices, blocks, strict=True)]
    units = sum(below * across for below, across in grids)
    is_even = all(m.rows % r == 0 and m.columns % c == 0 for m, (r, c) in zip(matrices, blocks, strict=True))
    sizes = {r * c for r, c in blocks} if is_even else set()
    unit_size = sizes.pop() if len(sizes) == 1 else None
    competing: Alive = units
    if is_remaining and standing.alive != standing.size:
        is_whole = rule.unit == WEIGHT or (_without_row(standing.structure) == rule.structure and unit_size is not None)
        competing = standing.alive // (unit_size or 1) if is_whole and standing.alive is not None else None
    return _Pool(standing, units, competing, unit_size)


def _of_pool(rule: Rule, pool: _Pool) -> Kept:
    """One competition, whose sum is known unless the minimum may raise it."""
    if pool.competing is None:
        return None, rule.structure
    is_alone = len(pool.standing.weights) == 1
    kept = keep_count(pool.competing, rule.pruned, minimum=rule.minimum if is_alone else 0)
    if not is_alone and kept < rule.minimum * len(pool.standing.weights):
        return None, rule.structure
    return pool.weights_of(kept), rule.structure


def _of_tensors(rule: Rule, pools: Sequence[_Pool]) -> list[Kept]:
    """One competition for each tensor; with `er` and `erk` the counts depend on all of them."""
    unknown = any(pool.competing is None for pool in pools)
    if unknown and rule.alloc != "uniform":
        return [(None, "") for _ in pools]
    known = {index: _tensor(pool) for index, pool in enumerate(pools) if pool.competing is not None}
    plan = allocate(rule.alloc, {str(index): one for index, one in known.items()}, rule.pruned, minimum=rule.minimum)
    kept = [pools[index].weights_of(plan.keep[str(index)]) if index in known else None for index in range(len(pools))]
    return [(alive, rule.structure) for alive in kept]


def _tensor(pool: _Pool) -> Tensor:
    (weight,) = pool.standing.weights
    assert pool.competing is not None
    return Tensor(pool.competing, pool.units, weight.shape, weight.input_dim)


def _of_rows(rule: Rule, pool: _Pool) -> Kept:
    """The same share of every row, if its competitors are known: all, or as many as earlier selections by row left."""
    (weight,) = pool.standing.weights
    rows = matrix_of_weight(weight).rows
    is_even = pool.competing == pool.units or pool.standing.structure == f"{_ROW}{rule.structure}"
    if pool.competing is None or not is_even or not rows:
        return None, rule.structure
    kept = rows * keep_count(pool.competing // rows, rule.pruned, minimum=0)
    if kept < min(rule.minimum, pool.competing):
        return pool.weights_of(min(rule.minimum, pool.competing)), rule.structure
    return pool.weights_of(kept), f"{_ROW}{rule.structure}"


_ROW = "row:"


def _without_row(structure: str) -> str:
    return structure.removeprefix(_ROW)
