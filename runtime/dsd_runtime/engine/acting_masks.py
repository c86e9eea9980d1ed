"""How the masks of a phase act (`enforce=`): which weights a step trains, and what pruned weights keep.

    hard      pruned weights are 0 and stay 0; with `by=movement` their last values are kept for their return
    ste       the forward pass has w M, and the gradient goes straight to all of w (Bengio et al. 2013)
    srste     plus the gradient decay (1 - M) w (Zhou et al. 2021)
    topkast   the gradient goes to the largest weights of a second, larger share; the rest stands still
              (Jayakumar et al. 2020)

An update is: backward, :meth:`ActingMasks.begin_update`, clip, optimizer step, `hide()` with the same or new masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_lang.plan.enforcing import Enforcing
from dsd_runtime.engine.hidden_values import HiddenValues
from dsd_runtime.engine.movement import MovementScores, gradient_of
from dsd_runtime.masks import MaskStore
from dsd_runtime.masks.shards import local_of

Strength = Callable[[str], float]
"""By the name of a mask."""


def _decay(rule: Enforcing, store: MaskStore, optimizer: Optimizer) -> Strength:
    """SR-STE's lambda."""
    return lambda name: rule.decay


def _exploration(rule: Enforcing, store: MaskStore, optimizer: Optimizer) -> Strength:
    """Top-KAST's exploration loss: weight decay over the share in use; the optimizer itself adds it once."""
    groups = optimizer.param_groups
    decays = {id(weight): float(group.get("weight_decay", 0)) for group in groups for weight in group["params"]}
    alive = store.alive_counts()

    def strength(name: str) -> float:
        weight = store.parameters(name)[0]
        return decays.get(id(weight), 0.0) * (weight.numel() / max(1, alive[name]) - 1)

    return strength


@dataclass(frozen=True, slots=True)
class Enforcement:
    """One `enforce=`: what the values of pruned weights that a step trains are multiplied by in their gradients."""

    pull: Callable[[Enforcing, MaskStore, Optimizer], Strength] | None = None


ENFORCEMENTS: dict[str, Enforcement] = {
    "hard": Enforcement(),
    "ste": Enforcement(),
    "srste": Enforcement(_decay),
    "topkast": Enforcement(_exploration),
}


class ActingMasks:
    """The masks of the forward pass (``store``), of the weights that are trained, and the values of pruned weights."""

    def __init__(self, store: MaskStore, trained: MaskStore) -> None:
        """``trained`` is a second store of the same parameters."""
        self.store = store
        self._trained = trained
        self.hidden = HiddenValues(store, trained)
        self.scores = MovementScores(store, self.hidden)
        self.rule = Enforcing("hard")
        self._names: tuple[str, ...] = ()

    @property
    def trained(self) -> MaskStore:
        """The masks of the weights that a step may change; a weight without one is trained whole."""
        return self._trained if self.rule.is_soft else self.store

    @property
    def is_plain(self) -> bool:
        """Whether pruned weights are just zero, with nothing kept."""
        return not self.rule.keeps_values

    def is_refresh_due(self, step: int) -> bool:
        """Whether the masks are chosen again after ``step`` updates of the phase."""
        return self.rule.every is not None and step % self.rule.every == 0

    # --- phases -------------------------------------------------------------------------------------------------------

    def leave(self) -> bool:
        """Ends the phase before; the model gets the values that its pruned weights were trained to, if they were.

        Returns whether they were.
        """
        was_soft = self.rule.is_soft and len(self.hidden) > 0
        if was_soft:
            self.hidden.reveal_all()
        self.hidden.end()
        self.scores.end()
        self._trained.clear()
        self.rule, self._names = Enforcing("hard"), ()
        return was_soft

    def enter(self, rule: Enforcing, names: tuple[str, ...], backward: Mapping[str, Tensor]) -> None:
        """Begins a phase whose masks are set, on a model that has all values; afterwards it is masked.

        ``names`` are the masks that act so; the others are hard. ``backward`` are the masks of Top-KAST's gradient.
        """
        self._begin(rule, names)
        self.set_trained(backward)
        if rule.keeps_values:
            self.hidden.begin(self._names)
        self.store.apply_to_weights()

    def set_trained(self, backward: Mapping[str, Tensor]) -> None:
        """Follows new masks of the forward pass, and takes those of the gradient."""
        self._trained.clear()
        if not self.rule.is_soft:
            return
        for name, mask in self.store.masks.items():
            if name not in self._names:
                self._trained.set(name, mask)
        for name, mask in backward.items():
            self._trained.set(name, mask | self.store.masks[self.store.owner(name)])

    def _begin(self, rule: Enforcing, names: tuple[str, ...]) -> None:
        self.rule = rule
        self._names = tuple(dict.fromkeys(map(self.store.owner, names)))
        if rule.score_lr is not None:
            self.scores.begin(self._names, rule.score_lr)

    # --- an update ----------------------------------------------------------------------------------------------------

    def begin_update(self, optimizer: Optimizer) -> None:
        """Adds to the gradients, unscaled and before they are clipped, and gives the model its trained values."""
        if self.is_plain:
            return
        self.hidden.hide()
        self.scores.note()
        if self.rule.is_soft:
            self._add_decay(optimizer)
            self.hidden.reveal()

    def before_closure(self) -> None:
        """Masks the weights, which the optimizer may have moved, before a closure computes the loss."""
        if self.rule.is_soft:
            self._trained.apply_to_weights()
            self.hidden.hide()
        else:
            self.store.apply_to_weights()

    def require_no_line_search(self, optimizer: Optimizer, phase: Phase) -> None:
        """Raises :class:`DsdError` for LBFGS in a loop of its own, whose closures would see unmasked weights."""
        if self.rule.is_soft and isinstance(optimizer, LBFGS):
            raise DsdError(
                f"phase `{phase.label or phase.id}` has `enforce={self.rule.name}`, and LBFGS computes losses within "
                "its step, where the weights are not masked",
                help="call `session.step(closure=...)`",
            )

    @torch.no_grad()
    def _add_decay(self, optimizer: Optimizer) -> None:
        """Adds SR-STE's decay of pruned weights, or Top-KAST's of those that only the gradient reaches."""
        pull = ENFORCEMENTS[self.rule.name].pull
        if pull is None:
            return
        strength = pull(self.rule, self.store, optimizer)
        for name, values in self.hidden.trained_parts():
            alpha = strength(name)
            if alpha and gradient_of(self.store, name, f"enforce={self.rule.name}") is not None:
                first = next(weight.grad for weight in self.store.parameters(name) if weight.grad is not None)
                local_of(first).add_(values, alpha=alpha)

    # --- state --------------------------------------------------------------------------------------------------------

    def rebind(self, named_parameters: Any) -> None:
        """Reads the model's parameters again; see :meth:`MaskStore.rebind`."""
        self._trained.rebind(named_parameters)

    def state_dict(self, *, is_sharded: bool = False) -> dict[str, Any]:
        """What is kept beside the masks; nothing in a phase whose pruned weights are just zero."""
        if self.is_plain:
            return {}
        return {
            "hidden": self.hidden.state_dict(),
            "trained": self._trained.pack(is_sharded=is_sharded),
            "movement": self.scores.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], rule: Enforcing, names: tuple[str, ...]) -> None:
        """Takes a saved state, after the masks."""
        self.hidden.end()
        self.scores.end()
        self._trained.clear()
        self._begin(rule, names)
        if rule.keeps_values:
            self._trained.unpack(state["trained"])
            self.hidden.load_state_dict(state["hidden"])
            self.scores.load_state_dict(state["movement"])
