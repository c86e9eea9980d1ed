"""The scores of `by=movement`: S = -score_lr x the sum of w dL/dw over the updates of a phase.

Sanh et al. 2020, *Movement Pruning*: the gradient of S is that of the mask, w times the gradient at the
masked weight, passed straight through the selection. So weights that move away from zero have the largest scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.hidden_values import HiddenValues
from dsd_runtime.masks import MaskStore
from dsd_runtime.masks.shards import local_of, sharded_as


class MovementScores:
    """The scores of some masks by name, float32 of the weights' shapes, and what the update in progress adds."""

    def __init__(self, store: MaskStore, hidden: HiddenValues) -> None:
        self._store, self._hidden = store, hidden
        self._rate: float | None = None
        self._added: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}

    def begin(self, names: tuple[str, ...], rate: float) -> None:
        """Starts from zero."""
        self._rate, self._added = rate, {}
        self.values = {
            name: torch.zeros_like(self._store.parameters(name)[0].detach(), dtype=torch.float32) for name in names
        }

    def end(self) -> None:
        """Drops the scores."""
        self._rate, self._added, self.values = None, {}, {}

    @torch.no_grad()
    def note(self) -> None:
        """Computes what this update adds, from its gradients and the weights before it."""
        for name in self.values:
            gradient = gradient_of(self._store, name, "by=movement")
            if gradient is not None:
                assert self._rate is not None
                moved = self._hidden.dense(name).to(torch.float32).mul_(gradient)
                self._added[name] = moved.mul_(-self._rate)

    def commit(self) -> None:
        """Adds it, because the update was applied; with other scores there is nothing to add."""
        if self._added:
            self._commit()

    @torch.no_grad()
    def _commit(self) -> None:
        for name, added in self._added.items():
            if self.values[name].device != added.device:
                self.values[name] = self.values[name].to(added.device)
            local_of(self.values[name]).add_(added)
        self._added = {}

    def state_dict(self) -> dict[str, Tensor]:
        """The scores, live."""
        return dict(self.values)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes saved scores, after `begin()`."""
        for name, value in state.items():
            parameter = self._store.parameters(name)[0].detach()
            local_of(self.values[name]).copy_(local_of(sharded_as(parameter, value)))


def gradient_of(store: MaskStore, name: str, reader: str) -> Tensor | None:
    """This process's rows of a weight's gradient, summed over parameters that share its memory; None without one."""
    found = [local_of(weight.grad) for weight in store.parameters(name) if weight.grad is not None]
    if any(gradient.layout != torch.strided for gradient in found):
        raise DsdError(
            f"the gradient of `{name}` is sparse, and `{reader}` needs it whole",
            help="leave out `sparse=True` on the embedding, or the layer: `except=`",
        )
    return None if not found else found[0] if len(found) == 1 else torch.stack(found).sum(0)
