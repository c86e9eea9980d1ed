"""Divides a weight into the units of `unit=`: rows, filters, input channels, blocks.

Every unit is a block of the weight's matrix, whose rows are the outputs and whose columns are the inputs, each with its
whole kernel: [out, in, kh, kw] is the matrix [out, in x kh x kw]. A row (or filter) is a block one row high, and an
input channel a block one kernel wide, over the rows of its group. Nothing here imports pydantic or torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from dsd_lang.base.layers import WeightInfo
from dsd_lang.base.named_tuples import NamedTuple


class Matrix(NamedTuple):
    """The matrix of a weight: its size, the columns of one input, and in how many groups outputs and inputs are."""

    rows: int
    columns: int
    kernel: int = 1
    groups: int = 1


def matrix_of(shape: tuple[int, ...], input_dim: int = 1, groups: int = 1) -> Matrix:
    """The matrix of a weight of that shape; a vector is a matrix of one column.

    ``groups`` lie one after the other along dimension 0: those of the outputs, or with ``input_dim=0`` of the inputs.
    """
    if len(shape) < 2:
        return Matrix(prod(shape), 1)
    output_dim = 0 if input_dim else 1
    kernel = prod(extent for dim, extent in enumerate(shape) if dim not in (input_dim, output_dim))
    if input_dim:
        return Matrix(shape[0], shape[input_dim] * kernel, kernel, groups)
    return Matrix(shape[1] * groups, shape[0] // groups * kernel, kernel, groups)


def matrix_of_weight(weight: WeightInfo) -> Matrix:
    """The matrix of a weight in a model's inventory."""
    return matrix_of(weight.shape, weight.input_dim, weight.output_blocks if weight.input_dim else weight.input_blocks)


class Unit(NamedTuple):
    """A value of `unit=`: its name, and the rows and columns of `block(r, c)`."""

    name: str = "weight"
    rows: int = 1
    columns: int = 1

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, str | bool]) -> Unit:
        """As the plan stores it."""
        return cls(name, int(arguments.get("0", 1)), int(arguments.get("1", 1)))

    def __str__(self) -> str:
        return f"block({self.rows}, {self.columns})" if self.name == "block" else self.name

    @property
    def crosses_rows(self) -> bool:
        """Whether one unit has weights of several rows."""
        return self.name == "channel" or (self.name == "block" and self.rows > 1)

    @property
    def is_whole_row(self) -> bool:
        """Whether one unit is one row."""
        return self.name in ("row", "filter")

    def block(self, matrix: Matrix) -> tuple[int, int]:
        """The rows and columns of one unit; those at the lower and right edges may have fewer.

        >>> Unit("channel").block(Matrix(8, 36, kernel=9, groups=2))
        (4, 9)
        """
        if self.name == "channel":
            return max(1, matrix.rows // matrix.groups), matrix.kernel
        if self.is_whole_row:
            return 1, max(1, matrix.columns)
        return max(1, min(self.rows, matrix.rows)), max(1, min(self.columns, matrix.columns))


WEIGHT = Unit()


def grid_of(matrix: Matrix, block: tuple[int, int]) -> tuple[int, int]:
    """How many units lie below and beside each other; a part of a block at an edge is a unit of its own."""
    return -(-matrix.rows // block[0]), -(-matrix.columns // block[1])


def undefined_unit(unit: Unit, scope: str, *, is_pattern: bool) -> tuple[str, str] | None:
    """Why a unit has no meaning for a target or a scope, and what to do; None if it has."""
    if unit == WEIGHT:
        return None
    if is_pattern:
        return (
            f"`unit={unit}` is not defined for a pattern `N:M`, which keeps N of each M single weights",
            "write `unit=weight` on this phase, or a share such as `50%`",
        )
    if scope == "row" and (unit.crosses_rows or unit.is_whole_row):
        why = "is the whole row" if unit.is_whole_row else "has weights of several rows"
        return (
            f"`unit={unit}` is not defined with `scope=row`: one unit {why}, so units cannot compete within a row",
            "write `scope=layer`, or a unit inside a row such as `block(1, 4)`",
        )
    return None
