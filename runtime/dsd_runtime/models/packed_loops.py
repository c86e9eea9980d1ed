"""The loops of a recurrence over time on a CPU, for matrices that do not fit the second-level cache.

At every step a few rows are multiplied with a whole matrix, so the time is that of reading the matrix. Here it is
packed once for all steps, in oneDNN's own layout, which is read in order and without a copy. Each direction runs in a
thread of its own, so threads meet once a layer and not at every step: on a busy machine these meetings took most of the
time. Sums have another order than in `batched_loops`, so results differ by rounding.

Measured (float32, T=75, N=16, AMD EPYC, torch 2.14, busy; GFLOP a second of processor time, forward / backward):

    H          384      512      768      1024     1760
    batched    62 / 46  53 / 50  57 / 40  42 / 32  40 / 36
    packed     45 / 41  59 / 54  59 / 55  75 / 71  64 / 63

Shape legend: T frames, N samples, H hidden units; buffers are [T, 2, N, H] (see recurrence.py).
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch
from torch import Tensor

from dsd_runtime.models.batched_loops import Matrices

LARGEST_CACHED = 512 * 512
"""Elements of a matrix that stays in the cache between steps, where packing gains nothing."""

_HAS_PACKING = (
    platform.machine().lower() in ("x86_64", "amd64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
)


def is_packing(states: Tensor) -> bool:
    """Whether these loops are quicker than the batched ones for a buffer, and this build of torch has them."""
    is_large = states.shape[-1] ** 2 > LARGEST_CACHED and states.numel() > 0
    return _HAS_PACKING and is_large and states.device.type == "cpu" and states.dtype == torch.float32


def run_states(states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns the projections in ``states`` into states, in place."""
    add_product = torch.ops.mkldnn._linear_pointwise.binary

    def run(direction: int) -> None:
        packed = _packed(matrices[direction], states)
        steps = states[:, direction].unbind(0)
        steps[0].clamp_(0, clip)
        for previous, current in pairwise(steps):
            torch.clamp(add_product(previous, current, packed, None, "add"), 0, clip, out=current)

    _for_each_direction(run)


def run_gradients(gradients: Tensor, states: Tensor, matrices: Matrices, clip: float) -> None:
    """Turns gradients of the states into gradients of the sums before the clip, in place."""
    add_product = torch.ops.mkldnn._linear_pointwise.binary
    through_clip = torch.ops.aten.hardtanh_backward.grad_input

    def run(direction: int) -> None:
        packed = _packed(matrices[direction].t(), states)
        slots, values = gradients[:, direction].unbind(0), states[:, direction].unbind(0)
        for step in range(len(slots) - 1, -1, -1):
            current = slots[step]
            if step + 1 < len(slots):
                current.copy_(add_product(slots[step + 1], current, packed, None, "add"))
            through_clip(current, values[step], 0.0, clip, grad_input=current)

    _for_each_direction(run)


def _packed(matrix: Tensor, states: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(matrix.contiguous(), states.shape[2])
    return packed


def _for_each_direction(run: Callable[[int], None]) -> None:
    """Calls ``run`` with 0 and 1: side by side if torch has several threads, with half of them each.

    Modes that watch operations see only those of their own thread, so under one of them the calls follow each other.
    """
    available = torch.get_num_threads()
    if available < 2 or torch._C._len_torch_dispatch_stack():
        run(0)
        run(1)
        return
    is_inference = torch.is_inference_mode_enabled()

    def beside() -> None:
        torch.set_num_threads(available - available // 2)
        with torch.inference_mode(is_inference), torch.no_grad():
            run(1)

    try:
        with ThreadPoolExecutor(1) as helper:
            torch.set_num_threads(available // 2)
            other = helper.submit(beside)
            run(0)
            other.result()
    finally:
        torch.set_num_threads(available)
