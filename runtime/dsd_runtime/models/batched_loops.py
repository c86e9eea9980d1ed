"""The loops of a recurrence over time with both directions in one batched product: for any device and dtype.

Shape legend: T frames, N samples, H hidden units; buffers are [T, 2, N, H] (see recurrence.py).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

Matrices = tuple[Tensor, Tensor]
"""The recurrent matrices [H, H] of the forward and of the backward direction."""


def run_states(states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns the projections in ``states`` into states, in place."""
    transposed = torch.stack(matrices).transpose(1, 2)
    steps = states.unbind(0)
    steps[0].clamp_(0, clip)
    for previous, current in pairwise(steps):
        current.baddbmm_(previous, transposed).clamp_(0, clip)


def run_gradients(gradients: Tensor, states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns gradients of the states into gradients of the sums before the clip, in place."""
    through_clip = torch.ops.aten.hardtanh_backward.grad_input
    recurrent = torch.stack(matrices)
    slots, values = gradients.unbind(0), states.unbind(0)
    for step in range(len(slots) - 1, -1, -1):
        current = slots[step]
        through_clip(current, values[step], 0.0, clip, grad_input=current)
        if step:
            slots[step - 1].baddbmm_(current, recurrent)
