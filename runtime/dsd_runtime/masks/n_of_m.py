"""N:M masks: keep the largest N of every M consecutive weights along the input dimension.

Shapes: a fully connected or recurrent matrix is [out, in], a convolution [out, in, kh, kw]. Groups run along dimension
1, so those of a convolution are along its channels at one kernel position (as if permuted 0, 2, 3, 1). A transposed
convolution is [in, out, kh, kw] and has its groups along dimension 0 (input_axes.py).
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.processes import Processes
from dsd_runtime.masks.selection import NonFiniteScore, first_of_all
from dsd_runtime.masks.shards import Rows


def select_n_of_m(scores: Tensor, n: int, m: int, *, name: str, axis: InputAxis = COLUMNS) -> Tensor:
    """The bool mask, shaped like `scores`, of the N largest scores in each group of M; of ties, the lowest index.

    `axis` is the dimension of the inputs. Raises :class:`DsdError` with the parameter's name if their number is not a
    multiple of M (a layer is never skipped silently), and :class:`NonFiniteScore` for NaN or infinity.

    >>> select_n_of_m(torch.tensor([[4.0, 1.0, 2.0, 3.0]]), 2, 4, name="w").tolist()
    [[True, False, False, True]]
    """
    require_pattern(tuple(scores.shape), n, m, name=name, axis=axis)
    finite = torch.isfinite(scores)
    if not bool(finite.all()):
        raise NonFiniteScore(0, int((~finite).reshape(-1).nonzero()[0]))
    return largest_of_groups(scores, n, m, axis.dim)


def select_n_of_m_of_rows(scores: Tensor, rows: Rows, processes: Processes, n: int, m: int, *, name: str,
                          axis: InputAxis = COLUMNS) -> Tensor:  # fmt: skip
    """As :func:`select_n_of_m`, for the ``rows`` of a weight that this process has; the whole weight must fit.

    Groups along dimension 0 may reach over the border between two processes: each is told up to M-1 rows on both sides.
    """
    require_pattern(rows.shape, n, m, name=name, axis=axis)
    broken = (~torch.isfinite(scores)).reshape(-1).nonzero()
    found = first_of_all((0, int(broken[0])) if broken.numel() else None, [rows.start * rows.row_size], processes)
    if found[0] == 0:
        raise NonFiniteScore(*found)
    first, window = (rows.start, scores) if axis.dim else _with_neighbours(scores.float(), rows, processes, m)
    if not scores.numel():
        return torch.empty(scores.shape, dtype=torch.bool, device=scores.device)
    return largest_of_groups(window, n, m, axis.dim)[rows.start - first : rows.end - first].contiguous()


def _with_neighbours(scores: Tensor, rows: Rows, processes: Processes, m: int) -> tuple[int, Tensor]:
    """The rows of all groups that this process has a part of, and the first of them."""
    reach = min(m - 1, rows.most)
    edges = scores.new_zeros((2, reach, *scores.shape[1:]))
    edges[0, : min(reach, len(scores))] = scores[:reach]
    edges[1, : min(reach, len(scores))] = scores[max(0, len(scores) - reach) :]
    everywhere = processes.gathered(edges).to(scores.device)
    first, end = rows.start // m * m, -(-rows.end // m) * m
    before = [_from_edges(everywhere, rows, row, reach) for row in range(first, rows.start)]
    after = [_from_edges(everywhere, rows, row, reach) for row in range(rows.end, end)]
    return first, torch.cat([*(row[None] for row in before), scores, *(row[None] for row in after)])


def _from_edges(everywhere: Tensor, rows: Rows, row: int, reach: int) -> Tensor:
    """A row that another process has sent: one of its first or of its last ``reach``."""
    owner = rows.owner(row)
    start, end = owner * rows.most, min((owner + 1) * rows.most, rows.shape[0])
    if row - start < reach:
        return everywhere[owner, 0, row - start]
    return everywhere[owner, 1, row - max(start, end - reach)]


def require_pattern(shape: tuple[int, ...], n: int, m: int, *, name: str, axis: InputAxis) -> None:
    """Raises :class:`DsdError` with the parameter's name if the inputs of that shape are not a multiple of M."""
    if not 0 < n <= m:
        raise ValueError(f"{n}:{m} is not a pattern: N must be between 1 and M")
    has_inputs = len(shape) >= 2
    num_inputs = shape[axis.dim] // axis.blocks if has_inputs else 0
    if not has_inputs or num_inputs % m:
        raise DsdError(
            f"`{n}:{m}` does not fit `{name}`: its shape {shape} has "
            + (f"{num_inputs} inputs, not a multiple of {m}" if has_inputs else "no input dimension"),
            help=f'leave it out with `except="{name.rpartition(".")[0] or name}"`, or choose another pattern',
        )


def largest_of_groups(scores: Tensor, n: int, m: int, dim: int) -> Tensor:
    """The mask of the N largest of every M consecutive scores along a dimension."""
    by_inputs = scores.detach().movedim(dim, -1).float()
    groups = by_inputs.reshape(*by_inputs.shape[:-1], -1, m)
    members = [groups[..., i].contiguous() for i in range(m)]
    losses = [torch.zeros(member.shape, dtype=torch.int16, device=scores.device) for member in members]
    for first, second in combinations(range(m), 2):
        first_wins = members[first] >= members[second]
        losses[second] += first_wins
        losses[first] += ~first_wins
    kept = torch.stack([lost < n for lost in losses], dim=-1)
    return kept.flatten(-2).movedim(-1, dim).contiguous()
