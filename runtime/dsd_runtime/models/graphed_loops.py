"""The loops of a recurrence on a GPU, replayed from CUDA graphs of a few steps.

A step is two small kernels, and launching them takes the host longer than running them takes the device. Here the
kernels of 16 steps are captured once, over fixed memory, and replayed for each piece of the loop. What the last piece
computes beyond the end is not copied back, so one graph serves every length; the matrices are copied into fixed memory
too, so it serves every layer of a width. The results are those of `batched_loops`.

cuDNN's ReLU recurrence is not used: it has no clip, so its result is right only if no state passes the clip, which the
host would have to wait for; and it multiplies its input with a matrix of its own, where batch norm comes between.

Off until it has been measured on a GPU: :func:`switch` turns it on.

Shape legend: T frames, N samples, H hidden units; buffers are [T, 2, N, H] (see recurrence.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from dsd_runtime.models.batched_loops import Matrices

STEPS = 16
"""Steps in a graph."""

_KEPT = 8
"""Graphs of so many sizes are kept."""

_is_on = False
_pieces: OrderedDict[tuple[object, ...], _Piece] = OrderedDict()


def switch(is_on: bool) -> None:
    """Turns the graphs on or off for all models of this process; they are kept for the next time."""
    global _is_on
    _is_on = is_on


def is_graphing(states: Tensor) -> bool:
    """Whether these loops are to be used for a buffer: not inside a graph that someone else captures."""
    return _is_on and states.is_cuda and states.numel() > 0 and not torch.cuda.is_current_stream_capturing()


class _Piece:
    """Fixed memory for some steps of one size, and the recorded loops over it."""

    def __init__(self, states: Tensor, clip: float) -> None:
        shape = (STEPS + 1, *states.shape[1:])
        self.states, self.gradients = states.new_zeros(shape), states.new_zeros(shape)
        self.matrices = states.new_zeros(2, states.shape[-1], states.shape[-1])
        self.clip = clip
        self.run_states = recorded(self._states, states.device)
        self.run_gradients = recorded(self._gradients, states.device)

    def _states(self) -> None:
        transposed = self.matrices.transpose(1, 2)
        for step in range(1, STEPS + 1):
            self.states[step].baddbmm_(self.states[step - 1], transposed).clamp_(0, self.clip)

    def _gradients(self) -> None:
        through_clip = torch.ops.aten.hardtanh_backward.grad_input
        for step in range(STEPS, 0, -1):
            current = self.gradients[step]
            through_clip(current, self.states[step], 0.0, self.clip, grad_input=current)
            self.gradients[step - 1].baddbmm_(current, self.matrices)


def recorded(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The work as a CUDA graph; on other devices itself."""
    if device.type != "cuda":
        return work
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        work()  # cuBLAS makes its workspace before the capture
    torch.cuda.current_stream(device).wait_stream(side)
    return recorded_once(work, device)


def recorded_once(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The same for work that has run before, and that must not run once more than it is replayed."""
    if device.type != "cuda":
        return work
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def _piece_for(states: Tensor, matrices: Matrices, clip: float) -> _Piece:
    key = (states.device, states.dtype, tuple(states.shape[1:]), clip)
    if key not in _pieces:
        _pieces[key] = _Piece(states, clip)
        if len(_pieces) > _KEPT:
            _pieces.popitem(last=False)
    _pieces.move_to_end(key)
    for own, matrix in zip(_pieces[key].matrices, matrices, strict=True):
        own.copy_(matrix)
    return _pieces[key]


def run_states(states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns the projections in ``states`` into states, in place."""
    piece = _piece_for(states, matrices, clip)
    states[0].clamp_(0, clip)
    for start in range(0, len(states) - 1, STEPS):
        part = states[start : start + STEPS + 1]
        piece.states[: len(part)].copy_(part)
        piece.run_states()
        part.copy_(piece.states[: len(part)])


def run_gradients(gradients: Tensor, states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns gradients of the states into gradients of the sums before the clip, in place."""
    piece = _piece_for(states, matrices, clip)
    for end in range(len(states), 1, -STEPS):
        start = max(0, end - STEPS - 1)
        unused = STEPS + 1 - (end - start)
        for own, part in ((piece.gradients, gradients[start:end]), (piece.states, states[start:end])):
            own[unused:].copy_(part)
        piece.run_gradients()
        gradients[start:end].copy_(piece.gradients[unused:])
    torch.ops.aten.hardtanh_backward.grad_input(gradients[0], states[0], 0.0, clip, grad_input=gradients[0])
