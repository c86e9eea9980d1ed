"""The parts of an update: L1, masking and clipping of gradients, and the optimizer's step, unless the scaler skips it.

With a closure the optimizer computes the gradients itself, possibly several times, and they are treated the same way
each time. :mod:`dsd_runtime.engine.halves` puts the parts in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import OptState
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Function, Phase
from dsd_runtime.engine.acting_masks import ActingMasks
from dsd_runtime.engine.optimizer_state import parameters_of
from dsd_runtime.engine.quick_step import QuickStep
from dsd_runtime.engine.rate_groups import given_parameters
from dsd_runtime.masks import MaskStore

_SMALLEST_SCALE = float(torch.finfo(torch.float32).tiny)
"""Below it halving a scale may leave it as it is, so that a skipped update would look like an applied one."""


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """What a phase does to the gradients of its updates besides masking."""

    l1: float
    clip: float | None
    clip_kind: Literal["norm", "value"]

    @classmethod
    def of(cls, phase: Phase) -> UpdateRule:
        """The rule of a phase; raises :class:`DsdError` for an unknown kind of clipping."""
        return cls(float(exact(phase.l1)) if phase.l1 is not None else 0.0, *_clip(phase.clip))

    def prepare_gradients(self, optimizer: Optimizer, store: MaskStore | None, clip: float | None) -> None:
        """Adds the L1 penalty, masks (unless a step does it itself: None), clips.

        ``clip`` is the loop's own limit, if the phase has none.
        """
        if self.l1:
            add_l1(parameters_of(optimizer), self.l1)
        if store is not None:
            store.apply_to_gradients()
        if self.clip is not None:
            limit = nn.utils.clip_grad_value_ if self.clip_kind == "value" else nn.utils.clip_grad_norm_
            limit(given_parameters(optimizer), self.clip)
        elif clip is not None:
            nn.utils.clip_grad_norm_(given_parameters(optimizer), clip)


def take_step(
    rule: UpdateRule,
    optimizer: Optimizer,
    acting: ActingMasks | None,
    scaler: torch.amp.GradScaler | None,
    clip: float | None,
    closure: Callable[[], Tensor | float] | None,
) -> bool:
    """Steps the optimizer on prepared gradients; whether it was applied (False: the scaler found infinite ones).

    Without ``acting`` masks the gradients of a closure are not masked.
    """
    if closure is not None:
        optimizer.step(_prepared(closure, rule, optimizer, acting, clip))
        return True
    if scaler is None:
        optimizer.step()
        return True
    return _scaled_step(optimizer, scaler)


def take_no_step(scaler: torch.amp.GradScaler | None, closure: Callable[[], Tensor | float] | None) -> bool:
    """What an update without a step does: the closure computes the gradients, the scaler follows what it found.

    Whether the update counts (False: the scaler has found infinite gradients).
    """
    if closure is not None:
        with torch.enable_grad():
            closure()
    if scaler is None:
        return True
    scale = scaler.get_scale()
    scaler.update()
    return scaler.get_scale() >= scale


def take_quick_step(quick: QuickStep, optimizer: Optimizer, store: MaskStore | None, *, are_masked: bool) -> None:
    """Does the optimizer's step, or has it done by the optimizer, and masks the gradients before if none has yet.

    Without a ``store`` they are not masked at all.
    """
    if are_masked:
        store = None
    if quick(optimizer, store):
        return
    if store is not None:
        store.apply_to_gradients()
    optimizer.step()


def _prepared(
    closure: Callable[[], Tensor | float],
    rule: UpdateRule,
    optimizer: Optimizer,
    acting: ActingMasks | None,
    clip: float | None,
) -> Callable[[], float]:
    """The closure, whose gradients are prepared each time that the optimizer computes them."""

    def prepared() -> float:
        if acting is not None:
            acting.before_closure()  # a line search moves the weights before it computes gradients
        with torch.enable_grad():
            loss = closure()
        if acting is not None:
            acting.begin_update(optimizer)
        rule.prepare_gradients(optimizer, None if acting is None else acting.trained, clip)
        return float(loss.detach()) if isinstance(loss, Tensor) else float(loss)

    return prepared


def unscale(optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
    """Divides the gradients by the scale, unless the loop has done so already.

    Raises :class:`DsdError` if the scale is so low that no update is applied any more.
    """
    if (scale := scaler.get_scale()) < _SMALLEST_SCALE:
        raise DsdError(
            f"the gradient scaler's scale has fallen to {scale:g}: every update is skipped",
            help="the gradients are not finite at any scale: lower the learning rate, use bf16, or look at the data",
        )
    if scaler.is_enabled() and scaler._per_optimizer_states[id(optimizer)]["stage"] is not OptState.UNSCALED:
        scaler.unscale_(optimizer)


def _scaled_step(optimizer: Optimizer, scaler: torch.amp.GradScaler) -> bool:
    """Whether the scaler applied the step; its scale drops if it did not."""
    stateless = stateless_parameters(optimizer)
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    if scaler.get_scale() >= scale:
        return True
    forget_skipped(optimizer, stateless)
    return False


def stateless_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters that have no optimizer state yet."""
    return [parameter for parameter in parameters_of(optimizer) if not optimizer.state.get(parameter)]


def forget_skipped(optimizer: Optimizer, stateless: list[nn.Parameter]) -> None:
    """Drops the state of parameters that had none before a skipped step: a fused SGD leaves an uninitialised buffer."""
    for parameter in stateless:
        optimizer.state.pop(parameter, None)


def add_l1(parameters: list[nn.Parameter], strength: float) -> None:
    """Adds the gradient of an L1 penalty, ``strength x sign(w)``, to every matrix."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.dim() >= 2:
            parameter.grad.add_(parameter.detach().sign(), alpha=strength)


def _clip(choice: Function | None) -> tuple[float | None, Literal["norm", "value"]]:
    """Clips: `5` or `norm(5)` limits the global norm of the gradients, `value(5)` each element."""
    if choice is None:
        return None, "norm"
    if choice.name == "norm" and "0" in choice.arguments:
        return float(exact(str(choice.arguments["0"]))), "norm"
    if choice.name == "value" and "0" in choice.arguments:
        return float(exact(str(choice.arguments["0"]))), "value"
    raise DsdError(f"`clip={choice.name}(...)` is not known", help="write `clip=5`, `clip=norm(5)` or `clip=value(5)`")
