"""Checks what a user passes as the optimizer, and finds the torch.optim optimizer inside a wrapper.

A wrapper that only calls the inner optimizer is unwrapped (accelerate's). One that computes something itself is kept
and stepped if it shares its groups with the inner one (Lookahead, SAM), so that the masks apply to both states.
Anything else is refused with advice on what to pass.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.optimizers import inner_optimizer

_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def usable_optimizer(given: object) -> Optimizer:
    """The optimizer that a session drives, from what the user passed; raises :class:`DsdError` with advice."""
    name, package = type(given).__name__, type(given).__module__.partition(".")[0]
    inside = inner_optimizer(given)
    if package == "accelerate" and inside is not None:
        return usable_optimizer(inside[1])
    if not isinstance(given, Optimizer):
        raise _no_optimizer(given, name, inside)
    if name == "ZeroRedundancyOptimizer":
        raise DsdError(
            "the optimizer is a `ZeroRedundancyOptimizer`, whose state on other ranks cannot be masked",
            help="pass a torch.optim optimizer whose state is whole on every rank",
        )
    if inside is not None and not _shares_groups(given, inside[1]):
        raise DsdError(
            f"the optimizer is a `{name}` around a `{type(inside[1]).__name__}` with parameter groups of its own, so "
            "the schedule's learning rate would not reach it",
            help=f"pass the one inside: `optimizer.{inside[0]}`",
        )
    for hooks in _HOOKS:  # torch's methods need them, and wrappers without `Optimizer.__init__()` lack them
        if not hasattr(given, hooks):
            setattr(given, hooks, OrderedDict())
    return given


def _shares_groups(outer: Optimizer, inner: Optimizer) -> bool:
    ours, theirs = outer.param_groups, inner.param_groups
    return len(ours) == len(theirs) and all(one is other for one, other in zip(ours, theirs, strict=True))


@dataclass(frozen=True, slots=True)
class Accelerated:
    """What accelerate's wrapper knows about an update: the gradient scaler, and whether an accumulation is complete."""

    scaler: torch.amp.GradScaler | None
    gradient_state: Any

    @classmethod
    def of(cls, given: object) -> Accelerated | None:
        """The facts of what the user passed; None if it is not accelerate's wrapper."""
        if type(given).__module__.partition(".")[0] != "accelerate":
            return None
        return cls(getattr(given, "scaler", None), getattr(given, "gradient_state", None))

    def require_complete(self, call: str) -> None:
        """Raises ``ValueError`` within an accumulation, where accelerate's own step does nothing."""
        if not getattr(self.gradient_state, "sync_gradients", True):
            raise ValueError(f"{call} within an accumulation: call it where `accelerator.sync_gradients` is true")


def _no_optimizer(given: object, name: str, inside: tuple[str, Optimizer] | None) -> DsdError:
    if isinstance(given, (LRScheduler, ReduceLROnPlateau)):
        return DsdError(
            f"`attach()` takes an optimizer, got the scheduler `{name}`",
            help="pass the optimizer, without a scheduler: the plan sets the learning rate",
        )
    if inside is not None:
        return DsdError(
            f"`attach()` takes a torch.optim.Optimizer, got a `{name}` around a `{type(inside[1]).__name__}`",
            help=f"pass the one inside: `optimizer.{inside[0]}`",
        )
    return DsdError(
        f"`attach()` takes a torch.optim.Optimizer, got a `{name}`",
        help="pass for instance `torch.optim.SGD(model.parameters(), lr=0.1)`",
    )
