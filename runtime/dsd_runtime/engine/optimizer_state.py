"""Applies `state=zero|reset|keep` to the optimizer state of pruned and revived weights.

zero: their entries in every buffer of the weight's shape; reset: the whole state of the tensor, including its step
count; keep: nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adagrad, Optimizer

from dsd_runtime.masks.optimizers import parts_of
from dsd_runtime.masks.store import same_shape_buffers


def parameters_of(optimizer: Optimizer) -> list[Parameter]:
    """The parameters of all groups, in order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def zero_state(optimizer: Optimizer, parameter: Parameter, where: Tensor) -> None:
    """Zeroes the entries ``where`` (bool, the parameter's shape) of every state buffer of the same shape."""
    for _, buffer in same_shape_buffers(parts_of(optimizer), parameter):
        buffer.masked_fill_(where.to(buffer.device), 0)


def forget_state(optimizer: Optimizer, parameter: Tensor) -> None:
    """Drops all state of a parameter, so that the optimizer initialises it again at the next update."""
    for part in parts_of(optimizer):
        _forget(part, parameter)


def _forget(optimizer: Optimizer, parameter: Tensor) -> None:
    state = optimizer.state.pop(parameter, None)
    if state is not None and isinstance(optimizer, Adagrad):  # the only one that creates its state at construction
        start = _group_of(optimizer, parameter).get("initial_accumulator_value", 0.0)
        optimizer.state[parameter] = {
            "step": torch.zeros_like(state["step"]), "sum": torch.full_like(state["sum"], start)
        }  # fmt: skip
    elif isinstance(optimizer, SGD) and state and _group_of(optimizer, parameter).get("fused"):
        # torch's fused step fails if some weights have a buffer and others have none
        optimizer.state[parameter] = {
            name: torch.zeros_like(value) for name, value in state.items() if isinstance(value, Tensor)
        }


def fill_missing_state(optimizer: Optimizer, parameters: Iterable[Parameter]) -> None:
    """Gives parameters that were left out of updates the state that others of their group have, where torch needs it.

    Its fused SGD fails if some weights have a buffer and others have none.
    """
    left_out = {id(parameter) for parameter in parameters}
    for part in parts_of(optimizer):
        groups = part.param_groups if isinstance(part, SGD) else []
        for group in groups:
            if not (group.get("fused") and any(part.state.get(one) for one in group["params"])):
                continue
            for one in group["params"]:
                if id(one) in left_out and not part.state.get(one):
                    part.state[one] = {"momentum_buffer": torch.zeros_like(one)}


def _group_of(optimizer: Optimizer, parameter: Tensor) -> dict[str, Any]:
    return next(group for group in optimizer.param_groups if any(it is parameter for it in group["params"]))


def forget_all_state(optimizer: Optimizer) -> None:
    """Drops the state of every parameter."""
    for part in parts_of(optimizer):
        for parameter in list(part.state):
            _forget(part, parameter)


def step_count(optimizer: Optimizer, parameter: Parameter) -> int:
    """The optimizer's step count for a parameter; 0 if it keeps none."""
    steps = optimizer.state.get(parameter, {}).get("step", 0)
    return int(steps.item()) if isinstance(steps, Tensor) else int(steps)


def largest_update_ratio(optimizer: Optimizer, parameter: Parameter) -> float:
    """How large the first updates of an entry with zeroed moments get, as a multiple of the learning rate.

    With step count t and a constant gradient, Adam's k-th update is lr x (1-b1^k)/(1-b1^(t+k)) /
    sqrt((1-b2^k)/(1-b2^(t+k))). For t = 0 the ratio is always 1; for the usual betas and a large t it starts at 3.2 and
    has its maximum of 6.6 at k = 12. For optimizers without bias-corrected second moments it is 1.
    """
    return max(_largest_update_ratio(part, parameter) for part in parts_of(optimizer))


def _largest_update_ratio(optimizer: Optimizer, parameter: Parameter) -> float:
    count = step_count(optimizer, parameter)
    if not count or "exp_avg_sq" not in optimizer.state.get(parameter, {}):
        return 1.0
    group = next(group for group in optimizer.param_groups if any(member is parameter for member in group["params"]))
    beta1, beta2 = (float(beta) for beta in group.get("betas", (0.0, 0.0)))
    if not (0.0 <= beta1 < 1.0 and 0.0 < beta2 < 1.0):
        return 1.0

    def ratio(k: int) -> float:
        first = (1 - beta1**k) / (1 - beta1 ** (count + k))
        second = (1 - beta2**k) / (1 - beta2 ** (count + k))
        return float(first / math.sqrt(second))

    return max(ratio(k) for k in range(1, min(1000, 2 + int(5 / (1 - beta1)))))
