"""A bidirectional clipped-ReLU recurrence: both directions in one loop over time.

One buffer ``states`` [T, 2, N, H] has the whole recurrence: slot ``s`` has frame ``s`` of the forward direction and
frame ``T-1-s`` of the backward one, so that one step of both is a single batched product on contiguous memory. It
initially has the projections, which become the states in place. Padding is initially -inf, which the clip turns into
the zero state, so nothing propagates from it in either direction, forwards or backwards. The gradient of the two
recurrent matrices is one product over all steps after the loop.

Shape legend: T frames, N samples, H hidden units, M valid frames (see frames.py).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import handle_torch_function, has_torch_function

from dsd_runtime.models import batched_loops, graphed_loops, packed_loops
from dsd_runtime.models.frames import Frames

StateListener = Callable[[Tensor, Tensor], None]
"""Called with the states [M, H] of the forward and the backward direction."""


def _slots(frames: Frames) -> tuple[Tensor, Tensor]:
    """Row indices of the valid frames in the flattened buffer, for the forward and the backward direction."""
    last = frames.num_frames - 1
    forward = 2 * frames.num_samples * frames.times + frames.samples
    backward = (2 * (last - frames.times) + 1) * frames.num_samples + frames.samples
    return forward, backward


def _scatter(rows: Tensor, frames: Frames, slots: tuple[Tensor, Tensor], padding: float) -> Tensor:
    buffer = rows.new_full((frames.num_frames * 2 * frames.num_samples, rows.shape[1]), padding)
    for slot in slots:
        buffer.index_copy_(0, slot, rows)
    return buffer.view(frames.num_frames, 2, frames.num_samples, rows.shape[1])


def _gather_sum(buffer: Tensor, slots: tuple[Tensor, Tensor]) -> Tensor:
    flat = buffer.view(-1, buffer.shape[-1])
    return flat.index_select(0, slots[0]).add_(flat.index_select(0, slots[1]))


def _loops(states: Tensor) -> ModuleType:
    """The quickest loops over time for a buffer."""
    if graphed_loops.is_graphing(states):
        return graphed_loops
    return packed_loops if packed_loops.is_packing(states) else batched_loops


def _matrix_gradient(gradients: Tensor, states: Tensor, direction: int) -> Tensor:
    units = states.shape[-1]
    outer = gradients[1:, direction].reshape(-1, units)
    inner = states[:-1, direction].reshape(-1, units)
    return outer.t() @ inner


class _ClippedRecurrence(torch.autograd.Function):
    """Projection [M, H] and two [H, H] matrices to the sum of the directions' states [M, H]."""

    @staticmethod
    def forward(
        ctx: Any,
        projection: Tensor,
        forward_matrix: Tensor,
        backward_matrix: Tensor,
        frames: Frames,
        clip: float,
        on_states: StateListener | None,
    ) -> Tensor:
        slots = _slots(frames)
        with torch.autocast(projection.device.type, enabled=False):
            states = _scatter(projection, frames, slots, -torch.inf)
            _loops(states).run_states(states, (forward_matrix, backward_matrix), clip)
            total = _gather_sum(states, slots)
            if on_states is not None:
                flat = states.view(-1, states.shape[-1])
                on_states(flat.index_select(0, slots[0]), flat.index_select(0, slots[1]))
        ctx.save_for_backward(states, forward_matrix, backward_matrix, *slots)
        ctx.frames, ctx.clip = frames, clip
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, forward_matrix, backward_matrix, *slot_list = ctx.saved_tensors
        slots = (slot_list[0], slot_list[1])
        with torch.autocast(gradient.device.type, enabled=False):
            gradients = _scatter(gradient.contiguous(), ctx.frames, slots, 0.0)
            _loops(states).run_gradients(gradients, states, (forward_matrix, backward_matrix), ctx.clip)
            projection = _gather_sum(gradients, slots) if ctx.needs_input_grad[0] else None
            matrices = [
                _matrix_gradient(gradients, states, direction) if ctx.needs_input_grad[1 + direction] else None
                for direction in (0, 1)
            ]
        return projection, matrices[0], matrices[1], None, None, None


@torch.compiler.disable  # type: ignore[untyped-decorator]
def clipped_recurrence(
    projection: Tensor,
    forward_matrix: Tensor,
    backward_matrix: Tensor,
    frames: Frames,
    *,
    clip: float = 20.0,
    on_states: StateListener | None = None,
) -> Tensor:
    """h[t] = min(max(p[t] + U h[t -/+ 1], 0), clip) in both directions over each sample's own frames, summed: [M, H].

    All tensors have one dtype and one device. Differentiable once in the projection and in both matrices. ``on_states``
    is called with the states [M, H] of the forward and of the backward direction. A `TorchFunctionMode` sees the whole
    recurrence as one function, and not the clip of each step.
    """
    if has_torch_function((projection,)):
        overridden: Tensor = handle_torch_function(
            clipped_recurrence, (projection,), projection, forward_matrix, backward_matrix, frames, clip=clip
        )
        return overridden
    if projection.shape[0] == 0:
        return projection
    result: Tensor = _ClippedRecurrence.apply(projection, forward_matrix, backward_matrix, frames, clip, on_states)
    return result
