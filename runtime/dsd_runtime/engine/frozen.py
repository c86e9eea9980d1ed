"""Freezes layers for a phase (`freeze=`): they get no gradient, so the optimizer skips them, and keep no state.

`requires_grad` is off for the phase, so that the backward pass leaves them out, and as it was before after the phase's
last update. Where processes average gradients (DDP, FSDP2), buckets were laid out for every weight that was trained
then: there the gradients are computed and dropped before the update. Both ways give the same numbers.

A batch norm that is frozen runs as in evaluation, whatever mode the loop sets: by its running statistics, which stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import LBFGS, Optimizer
from torch.utils.hooks import RemovableHandle

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.groups import frozen_weights, why_nothing_is_trained
from dsd_runtime.engine.layers import parameters_by_weight
from dsd_runtime.engine.optimizer_state import fill_missing_state, forget_all_state, forget_state
from dsd_runtime.engine.selection_plan import unmatched
from dsd_runtime.masks.store import memory_of


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a phase freezes: parameters by name, and the norms all of whose parameters are among them."""

    parameters: dict[str, nn.Parameter]
    norms: tuple[nn.Module, ...]


NOTHING = Chosen({}, ())


class Frozen:
    """What is frozen in one model now."""

    def __init__(self, model: nn.Module, *, drops_gradients: bool) -> None:
        """``drops_gradients``: every weight must get a gradient, as processes that average them expect."""
        self._model = model
        self.drops_gradients = drops_gradients
        self._chosen = NOTHING
        self._optimizer: Optimizer | None = None
        self._switched: list[nn.Parameter] = []
        self._hooks: list[RemovableHandle] = []
        self._frozen: tuple[nn.Parameter, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are frozen now."""
        return tuple(self._chosen.parameters) if self._frozen else ()

    @property
    def norms(self) -> tuple[nn.Module, ...]:
        """The norms that the phase entered last keeps, also after its last update."""
        return self._chosen.norms

    def check(self, plan: Plan, layers: Sequence[LayerInfo]) -> None:
        """Raises :class:`DsdError` (DSD201) for a selector that matches nothing, and if nothing is left to train."""
        for phase in {phase.freeze: phase for phase in plan.phases}.values():
            self.choose(phase, layers)

    def choose(self, phase: Phase, layers: Sequence[LayerInfo]) -> Chosen:
        """What a phase freezes; raises as :meth:`check`. Nothing is changed."""
        if not phase.freeze:
            return NOTHING
        names, missing = frozen_weights(phase.freeze, layers)
        for selector in missing:
            raise unmatched(selector, layers)
        if (why := why_nothing_is_trained(phase.freeze, layers)) is not None:
            raise DsdError(f"DSD201: phase `{phase.label or phase.id}`: {why[0]}", help=why[1])
        weights = parameters_by_weight(self._model)
        memories = {memory_of(one) for name in names for one in weights[name]}
        found = {name: one for name, one in self._model.named_parameters() if memory_of(one) in memories}
        return Chosen(found, tuple(module for module in self._model.modules() if _is_norm_of(module, memories)))

    def enter(self, chosen: Chosen, optimizer: Optimizer | None) -> None:
        """Freezes what a phase has chosen, for its updates by that optimizer."""
        self.leave()
        self.remember(chosen)
        self._optimizer = optimizer
        self._frozen = tuple(chosen.parameters.values())
        for parameter in self._frozen:
            parameter.grad = None
            if optimizer is not None:
                forget_state(optimizer, parameter)
            if parameter.requires_grad and not self.drops_gradients:
                parameter.requires_grad_(False)
                self._switched.append(parameter)
        self._forget_directions()
        for norm in chosen.norms:
            self._hooks += _AsInEvaluation().hooked(norm)

    def remember(self, chosen: Chosen) -> None:
        """Notes what a phase that is over has frozen."""
        self._chosen = chosen

    def leave(self) -> None:
        """Trains everything again that was trained before."""
        for parameter in self._switched:
            parameter.requires_grad_(True)
        for hook in self._hooks:
            hook.remove()
        if self._optimizer is not None:
            fill_missing_state(self._optimizer, self._frozen)
            self._forget_directions()
        self._switched, self._hooks, self._frozen, self._optimizer = [], [], (), None

    def drop_gradients(self) -> None:
        """Before an update: frozen weights have no gradient."""
        for parameter in self._frozen:
            parameter.grad = None

    def without_gradients(self, closure: Callable[[], Tensor | float]) -> Callable[[], Tensor | float]:
        """A closure after which frozen weights have no gradient either."""
        if not self._frozen:
            return closure

        def closed() -> Tensor | float:
            loss = closure()
            self.drop_gradients()
            return loss

        return closed

    def _forget_directions(self) -> None:
        """LBFGS has one history for all weights."""
        if self._frozen and isinstance(self._optimizer, LBFGS):
            forget_all_state(self._optimizer)


def _is_norm_of(module: nn.Module, memories: set[tuple[object, ...]]) -> bool:
    own = [one for one in module._parameters.values() if one is not None]
    is_norm = isinstance(module, _NormBase) and module.running_mean is not None
    return is_norm and bool(own) and all(memory_of(one) in memories for one in own)


class _AsInEvaluation:
    """Runs the forward pass of one module in evaluation mode, and restores the mode that the loop has set."""

    def __init__(self) -> None:
        self._mode = True

    def hooked(self, module: nn.Module) -> list[RemovableHandle]:
        return [
            module.register_forward_pre_hook(self.before),
            module.register_forward_hook(self.after, always_call=True),
        ]

    def before(self, module: nn.Module, inputs: Any) -> None:
        self._mode, module.training = module.training, False

    def after(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        module.training = self._mode
