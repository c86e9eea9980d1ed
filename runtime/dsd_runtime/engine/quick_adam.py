"""Adam's and AdamW's step on a CPU: the bits of torch's default, in less time.

What costs the default most in a sparse phase is avoided as well: the square roots of the zeros in its moments. Torch's
fused kernel makes all of the step in one pass, but its square roots round differently. It is used for what comes before
them, the decay and the moments, with a rate so small that it moves no weight; whether its bits are those of the
default's operations on this processor is tried once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from dsd_runtime.engine.quick_pieces import ON_TENSOR, Group, Masks, Operations, Scratch, State, dtype_of, pieces

_NO_RATE = 2.0**-1000
"""Minus zero in float32, once it is negated; and decay / rate, for any decay, is exact."""

_LINE_ELEMENTS = 64
"""A multiple of the elements that the kernel has in a register; it rounds what is left over differently."""


class QuickAdam:
    """The moments m and v of g (Adam: g + wd w); w -= lr m / c1 / (sqrt(v) / c2 + eps), AdamW after w *= 1 - lr wd."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch

    def __call__(self, state: State, group: Group, parameters: list[Tensor], masks: Masks) -> None:
        """Updates the parameters, which all have gradients.

        Weights whose state was reset have a step count of their own, and with it other corrections c1 and c2.
        """
        alike: dict[float, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            if not (own := state[parameter]):
                _start(own, parameter)
        counts = [state[parameter]["step"] for parameter in parameters]
        torch._foreach_add_(counts, 1)
        for parameter, count in zip(parameters, counts, strict=True):
            alike[count.item()].append(parameter)
        for steps, members in alike.items():
            first, second = ([state[parameter][name] for parameter in members] for name in ("exp_avg", "exp_avg_sq"))
            for on, piece in pieces(members, masks, first, second):
                self._piece(on, group, steps, *piece)

    def _piece(
        self, on: Operations, group: Group, steps: float, weights: Any, gradients: Any, first: Any, second: Any
    ) -> None:
        beta1, beta2 = group["betas"]
        if (
            isinstance(weights, Tensor)
            and weights.is_contiguous()
            and on.can_be_fused
            and _has_same_bits(weights.dtype)
        ):
            self._moments_in_one_pass(on, group, weights, gradients, first, second)
        else:
            self._moments(on, group, weights, gradients, first, second)
        correction = (1 - beta2**steps) ** 0.5
        divisors = self._scratch.roots(second, at_least=_negligible(group["eps"] * correction, dtype_of(second)))
        on.div_(divisors, correction)
        on.add_(divisors, group["eps"])
        on.addcdiv_(weights, first, divisors, value=-(group["lr"] / (1 - beta1**steps)))

    def _moments(self, on: Operations, group: Group, weights: Any, gradients: Any, first: Any, second: Any) -> None:
        """The decay, and both moments, by the operations of the default."""
        rate, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        if decay and group["decoupled_weight_decay"]:
            on.mul_(weights, 1 - rate * decay)
        elif decay:
            gradients = self._scratch.sum(gradients, weights, decay)
        on.lerp_(first, gradients, 1 - beta1)
        on.mul_(second, beta2)
        on.addcmul_(second, gradients, gradients, value=1 - beta2)

    def _moments_in_one_pass(self, on: Operations, group: Group, *tensors: Tensor) -> None:
        """The same of contiguous tensors by the fused kernel, but for the last elements."""
        numel = tensors[0].numel()
        whole = numel - numel % _LINE_ELEMENTS
        if whole == numel:
            _fused(group, *tensors)
            return
        flat = [tensor.view(-1) for tensor in tensors]
        _fused(group, *(tensor[:whole] for tensor in flat))
        self._moments(on, group, *(tensor[whole:] for tensor in flat))


def _start(state: dict[str, Any], parameter: Tensor) -> None:
    is_wide = torch.get_default_dtype() == torch.float64
    state["step"] = torch.tensor(0.0, dtype=torch.float64 if is_wide else torch.float32, device="cpu")
    for name in ("exp_avg", "exp_avg_sq"):
        state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)


def _fused(group: Group, weights: Tensor, gradients: Tensor, first: Tensor, second: Tensor) -> None:
    """The decay and the moments, and a step of minus zero."""
    is_decoupled, decay = group["decoupled_weight_decay"], group["weight_decay"]
    (torch._fused_adamw_ if is_decoupled else torch._fused_adam_)(
        [weights],
        [gradients],
        [first],
        [second],
        [],
        [_first_step()],
        lr=_NO_RATE,
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=group["lr"] * decay / _NO_RATE if is_decoupled else decay,
        eps=1.0,
        amsgrad=False,
        maximize=False,
    )


@cache
def _first_step() -> Tensor:
    return torch.ones((), dtype=torch.float32, device="cpu")


@cache
def _has_same_bits(dtype: torch.dtype) -> bool:
    """Whether the fused kernel rounds decay and moments as the default's operations do.

    In float64 the rate is not zero.
    """
    if dtype != torch.float32:
        return False
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(4, 64 * _LINE_ELEMENTS, generator=generator, dtype=dtype, device="cpu")
    drawn[3].square_()
    drawn[:, ::97] = 0.0
    return all(
        _agree({"lr": 0.013, "weight_decay": 0.037, "decoupled_weight_decay": is_decoupled, "betas": betas}, drawn)
        for is_decoupled in (False, True)
        for betas in ((0.9, 0.999), (0.3, 0.77))
    )


def _agree(group: Group, drawn: Tensor) -> bool:
    """Whether both ways give the same weights and moments; ``drawn`` is [4, N]."""
    ours, theirs = drawn.clone(), drawn.clone()
    _fused(group, *ours)
    QuickAdam(Scratch())._moments(ON_TENSOR, group, *theirs)
    return torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


@lru_cache(maxsize=8)
def _negligible(epsilon: float, dtype: torch.dtype) -> float:
    """A value whose square root disappears when ``epsilon`` is added, so that anything below may be raised to it.

    The square roots of 0, as every pruned weight has, and of denormal numbers take ten times as long as others (MKL).
    It is a power of 4: the root of another number as small takes three times as long, because what MKL corrects it by
    is denormal.
    """
    _, exponent = math.frexp(epsilon * torch.finfo(dtype).eps / 8)
    power = math.ldexp(1.0, 2 * (exponent - 1)) if epsilon else 0.0
    return power if power > torch.finfo(dtype).tiny else 0.0
