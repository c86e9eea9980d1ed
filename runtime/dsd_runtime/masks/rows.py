"""Selects a number of its own in every row of a matrix of scores, exactly, ties to the lowest index."""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE_ELEMENTS = 1 << 22


def select_in_rows(scores: Tensor, keep: Tensor, *, among: Tensor | None = None) -> Tensor:
    """The bool mask [R, C] of the `keep[r]` highest scores of each row r; of ties, those with the lowest column.

    Only elements where `among` is true compete (by default all), and their scores are finite. `keep` is int64 [R], from
    0 to the number of competitors of its row. Scores are compared in float32.

    >>> select_in_rows(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), torch.tensor([1, 2])).int().tolist()
    [[0, 1, 0], [1, 1, 0]]
    """
    mask = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    step = max(1, _PIECE_ELEMENTS // max(1, scores.shape[1]))
    for start in range(0, scores.shape[0] if scores.shape[1] else 0, step):
        piece = slice(start, start + step)
        candidates = None if among is None else among[piece]
        mask[piece] = _of_piece(scores[piece].detach(), keep[piece].to(scores.device), candidates)
    return mask


def _of_piece(scores: Tensor, keep: Tensor, among: Tensor | None) -> Tensor:
    values = scores.float() + 0.0  # -0.0 becomes +0.0
    if among is not None:
        values = values.masked_fill(~among, -torch.inf)
    thresholds = _thresholds(values, keep)[:, None]
    above = values > thresholds
    ties = values == thresholds
    missing = keep[:, None] - above.sum(1, keepdim=True)
    return above | (ties & (ties.cumsum(1) <= missing))


def _thresholds(values: Tensor, keep: Tensor) -> Tensor:
    """The `keep[r]`-th highest value of each row; infinity where none is kept."""
    count = values.shape[1]
    least, most = int(keep.min()), int(keep.max())
    if least == most:
        if most == 0:
            return torch.full_like(values[:, 0], torch.inf)
        return values.kthvalue(count - most + 1, dim=1).values
    ordered = values.sort(dim=1, descending=True).values
    found = ordered.gather(1, (keep - 1).clamp_min(0)[:, None])[:, 0]
    return found.masked_fill(keep == 0, torch.inf)
