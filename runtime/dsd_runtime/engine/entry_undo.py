"""Keeps the weights from before a first phase that prunes, until the first update.

A user who resumes loads the model's weights before or after `attach()`. Before: entering the first phase has pruned
what was loaded, and the saved session must find it whole. After: the weights are already the saved ones. Which it was
shows in the version counters of the tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dsd_runtime.engine.references import tensors_of


@dataclass(slots=True)
class EntryUndo:
    """A copy of the weights, and the tensors' versions after the phase was entered."""

    model: nn.Module
    weights: dict[str, Tensor]
    versions: dict[str, int]

    @classmethod
    def before(cls, model: nn.Module) -> EntryUndo:
        """Copies the model's weights and buffers."""
        copies = {name: value.clone() for name, value in tensors_of(model).items()}
        return cls(model, copies, {})

    def entered(self) -> None:
        """Notes the versions now that the phase has been entered."""
        self.versions = self._now()

    def undo_if_untouched(self) -> None:
        """Puts the copies back, unless something has written to the weights since."""
        if self._now() != self.versions:
            return
        with torch.no_grad():
            for name, value in tensors_of(self.model).items():
                value.copy_(self.weights[name])

    def _now(self) -> dict[str, int]:
        return {name: value._version for name, value in tensors_of(self.model).items()}
