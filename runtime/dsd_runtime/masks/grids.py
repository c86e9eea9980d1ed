"""The grid of a weight's units: their scores, which of them still have weights, and the mask of those that are kept.

`dsd_lang.plan.weight_units` says what the units are: blocks of the weight's matrix. Shapes: R, C rows and columns of
the matrix; A, B units below and beside each other (the grid); every block has r x c weights, at the edges fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dsd_lang.plan.weight_units import Matrix, Unit, grid_of, matrix_of
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis

_PIECE_WEIGHTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Grid:
    """The units of one whole weight of that shape."""

    shape: tuple[int, ...]
    axis: InputAxis
    block: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, ...], unit: Unit, axis: InputAxis = COLUMNS) -> Grid:
        """The grid of a weight whose inputs lie along `axis`."""
        return cls(shape, axis, unit.block(matrix_of(shape, axis.dim, axis.groups)))

    @property
    def matrix(self) -> Matrix:
        """The weight's matrix."""
        return matrix_of(self.shape, self.axis.dim, self.axis.groups)

    @property
    def extent(self) -> tuple[int, int]:
        """[A, B]"""
        return grid_of(self.matrix, self.block)

    @property
    def num_units(self) -> int:
        """How many units the weight has."""
        return self.extent[0] * self.extent[1]

    def as_matrix(self, weight: Tensor) -> Tensor:
        """A tensor of the weight's shape as [R, C]; a view where that is possible."""
        if weight.dim() < 2:
            return weight.reshape(-1, 1)
        if self.axis.dim:
            return weight.movedim(self.axis.dim, 1).reshape(self.matrix.rows, self.matrix.columns)
        grouped = weight.reshape(self.axis.groups, -1, *weight.shape[1:])
        return grouped.movedim(2, 1).reshape(self.matrix.rows, self.matrix.columns)

    def as_weight(self, matrix: Tensor) -> Tensor:
        """The inverse of :meth:`as_matrix`, contiguous."""
        if len(self.shape) < 2:
            return matrix.reshape(self.shape).contiguous()
        if self.axis.dim:
            moved = list(self.shape)
            moved.insert(1, moved.pop(self.axis.dim))
            return matrix.reshape(moved).movedim(1, self.axis.dim).contiguous()
        groups = self.axis.groups
        grouped = matrix.reshape(groups, self.shape[1], self.shape[0] // groups, *self.shape[2:])
        return grouped.movedim(1, 2).reshape(self.shape).contiguous()

    def sums(self, scores: Tensor, among: Tensor | None = None) -> Tensor:
        """The sum of the scores in each unit, [A, B] in float32, of the weights where `among` is true.

        They are added in float64, on a CPU in an order that does not depend on the number of threads.
        """
        matrix = self.as_matrix(scores.detach())
        if self.block == (1, 1):
            return matrix.float() if among is None else matrix.float().masked_fill(~self.as_matrix(among), 0)
        counted = None if among is None else self.as_matrix(among)
        pieces = []
        for rows in self._pieces():
            piece = matrix[rows].double()
            pieces.append(self._added(piece if counted is None else piece.masked_fill_(~counted[rows], 0)))
        return torch.cat(pieces).float() if pieces else torch.zeros(self.extent, device=scores.device)

    def firsts(self, scores: Tensor) -> Tensor:
        """The score of the first weight of each unit, [A, B] in float32."""
        return self.as_matrix(scores.detach())[:: self.block[0], :: self.block[1]].float()

    def with_some(self, among: Tensor) -> Tensor:
        """The units that have a weight where `among` is true, bool [A, B]."""
        return self.sums(among, None) > 0

    def spread(self, units: Tensor) -> Tensor:
        """The bool mask of the weights of the kept units; of the weight's shape."""
        rows = units.repeat_interleave(self.block[0], 0)[: self.matrix.rows]
        return self.as_weight(rows.repeat_interleave(self.block[1], 1)[:, : self.matrix.columns])

    def first_weight(self, index: int) -> int:
        """The flat index in the weight of the first weight of a unit."""
        row, column = divmod(index, max(1, self.extent[1]))
        where = torch.zeros((self.matrix.rows, self.matrix.columns), dtype=torch.bool)
        where[row * self.block[0], column * self.block[1]] = True
        return int(self.as_weight(where).reshape(-1).nonzero()[0])

    def _pieces(self) -> list[slice]:
        """Rows of whole units that are worked on at once."""
        units = max(1, _PIECE_WEIGHTS // max(1, self.block[0] * self.matrix.columns))
        step = units * self.block[0]
        return [slice(start, start + step) for start in range(0, self.matrix.rows, step)]

    def _added(self, piece: Tensor) -> Tensor:
        """The sums of some rows of units, in float64."""
        (high, wide), across = self.block, self.extent[1]
        below = -(-piece.shape[0] // high)
        missing = (0, across * wide - piece.shape[1], 0, below * high - piece.shape[0])
        whole = torch.nn.functional.pad(piece, missing) if any(missing) else piece
        blocks = whole.reshape(below, high, across, wide)
        if piece.device.type == "cpu":
            return torch.from_numpy(np.asarray(blocks.numpy().sum(axis=(1, 3))))
        return blocks.sum(dim=(1, 3))
