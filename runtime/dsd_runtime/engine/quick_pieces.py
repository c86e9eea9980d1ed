"""Cuts weights, gradients and optimizer state into pieces that fit into a CPU's cache, and masks the gradients in them.

Torch's default on a CPU passes over the whole memory of a matrix once for each operation of its formula, and allocates
the results. Here the same operations run in the same order on 2^18 elements at a time, and small tensors in one call.
Each operation is elementwise, so where a float32 or float64 tensor is cut changes no bit (in bfloat16 and float16 the
last elements of a piece are rounded differently).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dsd_runtime.masks.clearing import ClearingMask, clear_piece

PIECE_ELEMENTS = 1 << 18
"""Elements of each tensor that a thread updates at once (1 MB for float32)."""

_SMALL_ELEMENTS = 1 << 18
"""Tensors of up to so many elements are updated together."""

Group = Mapping[str, Any]
State = Mapping[Tensor, dict[str, Any]]
Masks = Mapping[int, ClearingMask]
"""By the `id` of the parameter, because tensors are slow keys."""


class Operations(NamedTuple):
    """The operations of the formulas, on a tensor or on lists of tensors: the same kernels."""

    can_be_fused: bool
    """Whether the tensors have their elements in the same order in memory, as torch's fused kernels take for granted.
    """
    add_: Callable[..., object]
    mul_: Callable[..., object]
    div_: Callable[..., object]
    lerp_: Callable[..., object]
    addcmul_: Callable[..., object]
    addcdiv_: Callable[..., object]


ON_TENSOR = Operations(True, Tensor.add_, Tensor.mul_, Tensor.div_, Tensor.lerp_, Tensor.addcmul_, Tensor.addcdiv_)
_ON_TENSORS_IN_ANY_ORDER = ON_TENSOR._replace(can_be_fused=False)
_ON_LISTS = Operations(
    True,
    torch._foreach_add_,
    torch._foreach_mul_,
    torch._foreach_div_,
    torch._foreach_lerp_,
    torch._foreach_addcmul_,
    torch._foreach_addcdiv_,
)


class Scratch:
    """Memory for one result, always the same so that it stays in the cache."""

    def __init__(self) -> None:
        self._memory: dict[torch.dtype, Tensor] = {}
        self._spaces: dict[tuple[torch.dtype, torch.Size], Tensor] = {}

    def sum(self, left: Any, right: Any, factor: float) -> Any:
        """left + factor right; the result is valid until the next call."""
        if isinstance(left, Tensor):
            return torch.add(left, right, alpha=factor, out=self._space(left))
        return torch._foreach_add(left, right, alpha=factor)

    def roots(self, values: Any, at_least: float) -> Any:
        """The square roots of the values, or of ``at_least`` if that is more; valid until the next call."""
        if isinstance(values, Tensor):
            return torch.clamp_min(values, at_least, out=self._space(values)).sqrt_()
        raised = torch._foreach_clamp_min(values, at_least)
        torch._foreach_sqrt_(raised)
        return raised

    def _space(self, like: Tensor) -> Tensor:
        key = (like.dtype, like.shape)
        space = self._spaces.get(key)
        if space is None:
            memory = self._memory.get(like.dtype)
            if memory is None or memory.numel() < like.numel():
                memory = self._memory[like.dtype] = torch.empty(like.numel(), dtype=like.dtype)
            space = self._spaces[key] = memory[: like.numel()].view(like.shape)
        return space


def dtype_of(values: Any) -> torch.dtype:
    """The dtype of a tensor, or of the first in a list."""
    dtype: torch.dtype = (values if isinstance(values, Tensor) else values[0]).dtype
    return dtype


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of parameters that all have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def pieces(
    parameters: list[Tensor], masks: Masks, *moments: list[Tensor]
) -> Iterator[tuple[Operations, tuple[Any, ...]]]:
    """Weights, masked gradients and moments: large tensors in pieces, as tensors; small ones together, as lists."""
    rows: list[tuple[Tensor, ...]] = []
    size, most = 0, PIECE_ELEMENTS * torch.get_num_threads()
    for row in zip(parameters, gradients_of(parameters), *moments, strict=True):
        numel, mask = row[0].numel(), masks.get(id(row[0]))
        is_contiguous = all(map(Tensor.is_contiguous, row))
        if numel > most and is_contiguous and (mask is None or mask.mask.is_contiguous()):
            for piece in _cut(row, mask, most):
                yield ON_TENSOR, piece
            continue
        if mask is not None:
            mask.clear(row[1])
        if not (is_contiguous or _are_channels_last(row)):
            yield _ON_TENSORS_IN_ANY_ORDER, row
            continue
        if numel > _SMALL_ELEMENTS:
            yield ON_TENSOR, row
            continue
        rows.append(row)
        size += numel
        if size > most:
            yield _ON_LISTS, tuple(map(list, zip(*rows, strict=True)))
            rows, size = [], 0
    if rows:
        yield _ON_LISTS, tuple(map(list, zip(*rows, strict=True)))


def _are_channels_last(row: tuple[Tensor, ...]) -> bool:
    return all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in row)


def _cut(row: tuple[Tensor, ...], mask: ClearingMask | None, most: int) -> Iterator[tuple[Tensor, ...]]:
    """The pieces of contiguous tensors; those of the second, the gradient, are masked."""
    cut = zip(*(torch.split(tensor.view(-1), most) for tensor in row), strict=True)
    if mask is None:
        yield from cut
        return
    for piece, of_mask in zip(cut, mask.flat_pieces(row[1], most), strict=True):
        clear_piece(piece[1], of_mask)
        yield piece
