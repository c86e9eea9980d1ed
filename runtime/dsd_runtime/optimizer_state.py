"""What a boundary does to the optimizer's state of pruned and revived weights: `state=zero|reset|keep`.

zero: those coordinates of every buffer of the weight's own shape; reset: the tensor's whole state, with its step count;
keep: nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer


def zero_state(optimizer: Optimizer, parameter: Parameter, where: Tensor) -> None:
    """Zeroes the coordinates ``where`` (bool, the parameter's shape) of every same-shape state buffer."""
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0:
            value.masked_fill_(where, 0)


def forget_state(optimizer: Optimizer, parameter: Parameter) -> None:
    """Drops all state of a parameter, so that the optimizer starts it anew at its next update."""
    optimizer.state.pop(parameter, None)


def step_count(optimizer: Optimizer, parameter: Parameter) -> int:
    """How many updates the optimizer counts for a parameter; 0 where it keeps no count."""
    steps = optimizer.state.get(parameter, {}).get("step", 0)
    return int(steps.item()) if isinstance(steps, Tensor) else int(steps)


def first_update_ratio(optimizer: Optimizer, parameter: Parameter) -> float:
    """How large Adam's first update of a zeroed coordinate is, as a multiple of the learning rate.

    With zeroed moments and a step count t, the update is lr x (1-b1)/(1-b1^t) / sqrt((1-b2)/(1-b2^t)): 1 at t = 1,
    up to (1-b1)/sqrt(1-b2) = 3.16 for the usual betas when both corrections have worn off, more in between.
    """
    for group in optimizer.param_groups:
        if "betas" in group and any(member is parameter for member in group["params"]):
            beta1, beta2 = (float(beta) for beta in group["betas"])
            count = step_count(optimizer, parameter) + 1
            if beta2 >= 1.0 or count < 2:
                return 1.0
            first = (1 - beta1) / (1 - beta1**count)
            second = (1 - beta2) / (1 - beta2**count)
            return float(first / torch.tensor(second, dtype=torch.float64).sqrt())
    return 1.0
