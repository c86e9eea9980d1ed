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
from dsd_runtime.masks.selection import NonFiniteScore


def select_n_of_m(scores: Tensor, n: int, m: int, *, name: str, axis: InputAxis = COLUMNS) -> Tensor:
    """The bool mask, shaped like `scores`, of the N largest scores in each group of M; of ties, the lowest index.

    `axis` is the dimension of the inputs. Raises :class:`DsdError` with the parameter's name if their number is not a
    multiple of M (a layer is never skipped silently), and :class:`NonFiniteScore` for NaN or infinity.

    >>> select_n_of_m(torch.tensor([[4.0, 1.0, 2.0, 3.0]]), 2, 4, name="w").tolist()
    [[True, False, False, True]]
    """
    if not 0 < n <= m:
        raise ValueError(f"{n}:{m} is not a pattern: N must be between 1 and M")
    has_inputs = scores.dim() >= 2
    num_inputs = scores.shape[axis.dim] // axis.blocks if has_inputs else 0
    if not has_inputs or num_inputs % m:
        raise DsdError(
            f"`{n}:{m}` does not fit `{name}`: its shape {tuple(scores.shape)} has "
            + (f"{num_inputs} inputs, not a multiple of {m}" if has_inputs else "no input dimension"),
            help=f'leave it out with `except="{name.rpartition(".")[0] or name}"`, or choose another pattern',
        )
    finite = torch.isfinite(scores)
    if not bool(finite.all()):
        raise NonFiniteScore(0, int((~finite).reshape(-1).nonzero()[0]))
    by_inputs = scores.detach().movedim(axis.dim, -1).float()
    groups = by_inputs.reshape(*by_inputs.shape[:-1], -1, m)
    members = [groups[..., i].contiguous() for i in range(m)]
    losses = [torch.zeros(member.shape, dtype=torch.int16, device=scores.device) for member in members]
    for first, second in combinations(range(m), 2):
        first_wins = members[first] >= members[second]
        losses[second] += first_wins
        losses[first] += ~first_wins
    kept = torch.stack([lost < n for lost in losses], dim=-1)
    return kept.flatten(-2).movedim(-1, axis.dim).contiguous()
