"""SGD's step on a CPU: the bits of torch's default, with momentum in two passes instead of four.

Torch's fused kernel makes all of the step in one pass, but adds `momentum x buffer` with one rounding, where the
default has two. So the buffer is multiplied first, and the kernel gets the momentum 1. Its other operations round as
the default's do; whether that is so on this processor is tried once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from dsd_runtime.engine.quick_pieces import Group, Masks, Operations, Scratch, State, dtype_of, gradients_of, pieces


class QuickSgd:
    """buffer = m buffer + (1 - d) (g + wd w); w -= lr buffer, or with Nesterov lr (g + wd w + m buffer)."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch

    def __call__(self, state: State, group: Group, parameters: list[Tensor], masks: Masks) -> None:
        """Updates the parameters, which all have gradients."""
        if not group["momentum"]:
            for on, (weights, gradients) in pieces(parameters, masks):
                self._rest(on, group, weights, gradients, None)
            return
        kept = [state[parameter].get("momentum_buffer") for parameter in parameters]
        buffers = [buffer for buffer in kept if buffer is not None]
        if len(buffers) < len(parameters):
            new = [parameter for parameter, buffer in zip(parameters, kept, strict=True) if buffer is None]
            parameters = [parameter for parameter, buffer in zip(parameters, kept, strict=True) if buffer is not None]
            _start(state, group, new, masks)
        for on, (weights, gradients, moments) in pieces(parameters, masks, buffers):
            on.mul_(moments, group["momentum"])
            self._rest(on, group, weights, gradients, moments)

    def _rest(self, on: Operations, group: Group, weights: Any, gradients: Any, moments: Any) -> None:
        """The step, after the buffer was multiplied by the momentum; ``moments`` is None without momentum."""
        is_other = group["nesterov"] or group["dampening"]
        if on.can_be_fused and not is_other and _has_same_bits(dtype_of(weights)):
            _fused(group, weights, gradients, moments)
            return
        if group["weight_decay"]:
            gradients = self._scratch.sum(gradients, weights, group["weight_decay"])
        if moments is not None:
            on.add_(moments, gradients, alpha=1 - group["dampening"])
            is_nesterov = group["nesterov"]
            gradients = self._scratch.sum(gradients, moments, group["momentum"]) if is_nesterov else moments
        on.add_(weights, gradients, alpha=-group["lr"])


def _fused(group: Group, weights: Any, gradients: Any, moments: Any) -> None:
    """The step in one pass, after the buffer was multiplied by the momentum."""
    torch._fused_sgd_(
        _as_list(weights),
        _as_list(gradients),
        _as_list(moments) if moments is not None else [],
        weight_decay=group["weight_decay"],
        momentum=1.0 if moments is not None else 0.0,
        lr=group["lr"],
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def _as_list(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else values


@cache
def _has_same_bits(dtype: torch.dtype) -> bool:
    """Whether the fused kernel rounds as the default's operations do, in whole vectors and in what is left over."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(3, 4111, generator=generator, dtype=dtype, device="cpu")
    group = {"weight_decay": 0.037, "lr": 0.013}
    return all(_agree(group, *drawn[:, rest:]) for rest in (0, *range(4080, 4110)))


def _agree(group: Group, weights: Tensor, gradients: Tensor, moments: Tensor) -> bool:
    direction = gradients.add(weights, alpha=group["weight_decay"])
    with_momentum, plain, buffer = weights.clone(), weights.clone(), moments.clone()
    _fused(group, with_momentum, gradients, buffer)
    _fused(group, plain, gradients, None)
    moments = moments + direction
    return (
        torch.equal(buffer, moments)
        and torch.equal(with_momentum, weights.add(moments, alpha=-group["lr"]))
        and torch.equal(plain, weights.add(direction, alpha=-group["lr"]))
    )


def _start(state: State, group: Group, parameters: list[Tensor], masks: Masks) -> None:
    """The first step of some weights, whose buffer becomes their gradient."""
    for parameter, gradient in zip(parameters, gradients_of(parameters), strict=True):
        if (mask := masks.get(id(parameter))) is not None:
            mask.clear(gradient)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        buffer = state[parameter]["momentum_buffer"] = gradient.detach().clone()
        direction = gradient.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
        parameter.add_(direction, alpha=-group["lr"])
