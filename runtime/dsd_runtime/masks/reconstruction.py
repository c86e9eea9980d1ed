"""SparseGPT (Frantar & Alistarh 2023, Algorithm 1): prunes a matrix column by column, and lets the kept weights of the
columns to the right make up for what was pruned.

Shape legend: O outputs, C inputs (columns). H is X^T X [C, C] of the inputs. U is the upper Cholesky factor of H^-1:
its row j, divided by U_jj, says how the columns behind j change for a unit of error in column j, and U_jj^2 is the
element of the inverse of H without the columns before j.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.n_of_m import largest_of_groups
from dsd_runtime.masks.selection import select_exactly

KeepInBlock = Callable[[int, Tensor], Tensor]
"""The mask of some columns, from the first column on, by their scores [O, columns]."""


@dataclass(frozen=True, slots=True)
class InverseFactor:
    """U [C, C] in float64, and which inputs were always 0."""

    upper: Tensor
    dead: Tensor

    @classmethod
    def of(cls, products: Tensor, *, damp: float, name: str) -> InverseFactor:
        """From X^T X, of which `damp` times the mean of the diagonal is added to the diagonal.

        Raises :class:`DsdError` if it is not positive definite even so.
        """
        matrix = products.double().clone()
        diagonal = matrix.diagonal()
        dead = diagonal == 0
        diagonal[dead] = 1.0
        diagonal += damp * diagonal.mean()
        lower, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed) == 0:
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        if int(failed):
            raise DsdError(
                f"the inputs of `{name}` are too alike to be told apart (the matrix of their products is singular)",
                help="use a larger `damp=`, such as `by=sparsegpt(damp=0.1)`, or more `samples=`",
            )
        return cls(upper, dead)

    def scores(self, weight: Tensor, first: int = 0) -> Tensor:
        """w^2 / U_jj^2 of columns from ``first`` on: the error if a weight is pruned, the columns behind it adapted."""
        end = first + weight.shape[1]
        scores = weight.double().square() / self.upper.diagonal()[first:end].square()
        return scores.masked_fill(self.dead[first:end], 0)


def reconstructed(weight: Tensor, factor: InverseFactor, keep: KeepInBlock, *, block: int) -> tuple[Tensor, Tensor]:
    """The mask [O, C] and the new weights [O, C] of a matrix, in float64; 0 where pruned.

    For each ``block`` of columns ``keep`` chooses the mask, by the scores of weights that have adapted to those before.
    """
    work = weight.double().clone()
    mask = torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
    num_columns = weight.shape[1]
    for first in range(0, num_columns, block):
        end = min(first + block, num_columns)
        mask[:, first:end] = keep(first, factor.scores(work[:, first:end], first))
        errors = _prune_block(work[:, first:end], mask[:, first:end], factor.upper[first:end, first:end])
        work[:, end:] -= errors @ factor.upper[first:end, end:]
    work[:, factor.dead] = weight.double()[:, factor.dead]
    return mask, work.masked_fill_(~mask, 0)


def _prune_block(work: Tensor, mask: Tensor, upper: Tensor) -> Tensor:
    """Prunes a block in place, column by column; returns the error of each, in units of its U_jj."""
    errors = torch.zeros_like(work)
    for column in range(work.shape[1]):
        error = work[:, column].masked_fill(mask[:, column], 0) / upper[column, column]
        errors[:, column] = error
        work[:, column:] -= error[:, None] * upper[column, column:]
    return errors


def shares_of_blocks(competing: Tensor, keep: int, block: int) -> list[int]:
    """How many weights each block of columns keeps, ``keep`` in all, by its share of the competitors [O, C]."""
    counts = [int(part.sum()) for part in torch.split(competing, block, dim=1)]
    total = max(1, sum(counts))
    ends = [0, *((2 * keep * before + total) // (2 * total) for before in accumulate(counts))]
    return [end - start for start, end in pairwise(ends)]


def by_shares(competing: Tensor, keep: int, block: int) -> KeepInBlock:
    """Keeps ``keep`` weights of the matrix, the best of each block by its share."""
    shares = shares_of_blocks(competing, keep, block)

    def choose(first: int, scores: Tensor) -> Tensor:
        among = competing[:, first : first + scores.shape[1]]
        return select_exactly(scores, shares[first // block], among=among)

    return choose


def by_pattern(n: int, m: int) -> KeepInBlock:
    """Keeps the best N of every M neighbouring columns."""
    return lambda first, scores: largest_of_groups(scores, n, m, 1)


def as_given(mask: Tensor) -> KeepInBlock:
    """Keeps what a mask [O, C] says."""
    return lambda first, scores: mask[:, first : first + scores.shape[1]]
