"""Adam's and AdamW's step on a CPU: the bits of torch's default, in less time.

What costs the default most in a sparse phase is avoided as well: the square roots of the zeros in its moments.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from dsd_runtime.engine.quick_pieces import Group, Masks, Operations, Scratch, State, pieces


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
            own["step"] += 1
            alike[own["step"].item()].append(parameter)
        for steps, members in alike.items():
            first, second = ([state[parameter][name] for parameter in members] for name in ("exp_avg", "exp_avg_sq"))
            for on, piece in pieces(members, masks, first, second):
                self._piece(on, group, steps, *piece)

    def _piece(
        self, on: Operations, group: Group, steps: float, weights: Any, gradients: Any, first: Any, second: Any
    ) -> None:
        rate, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        if decay and group["decoupled_weight_decay"]:
            on.mul_(weights, 1 - rate * decay)
        elif decay:
            gradients = self._scratch.sum(gradients, weights, decay)
        on.lerp_(first, gradients, 1 - beta1)
        on.mul_(second, beta2)
        on.addcmul_(second, gradients, gradients, value=1 - beta2)
        correction = (1 - beta2**steps) ** 0.5
        divisors = self._scratch.roots(second, at_least=_negligible(group["eps"] * correction, second))
        on.div_(divisors, correction)
        on.add_(divisors, group["eps"])
        on.addcdiv_(weights, first, divisors, value=-(rate / (1 - beta1**steps)))


def _start(state: dict[str, Any], parameter: Tensor) -> None:
    is_wide = torch.get_default_dtype() == torch.float64
    state["step"] = torch.tensor(0.0, dtype=torch.float64 if is_wide else torch.float32, device="cpu")
    for name in ("exp_avg", "exp_avg_sq"):
        state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)


def _negligible(epsilon: float, values: Any) -> float:
    """A value whose square root disappears when ``epsilon`` is added, so that anything below may be raised to it.

    The square roots of 0, as every pruned weight has, and of denormal numbers take ten times as long as others (MKL).
    It is a power of 4: the root of another number as small takes three times as long, because what MKL corrects it by
    is denormal.
    """
    dtype = values.dtype if isinstance(values, Tensor) else values[0].dtype
    _, exponent = math.frexp(epsilon * torch.finfo(dtype).eps / 8)
    power = math.ldexp(1.0, 2 * (exponent - 1)) if epsilon else 0.0
    return power if power > torch.finfo(dtype).tiny else 0.0
