"""Keeps a copy of the weights from before a first phase that prunes, until the first update.

A user who resumes may load the model's weights before or after `attach()`. If before, entering the first phase has
pruned the loaded weights, and they must be restored. If after, the weights are already right. The version counters of
the tensors tell which was the case.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dsd_runtime.engine.references import tensors_of
from dsd_runtime.masks.shards import local_of


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
        """Stores the tensors' versions after the phase was entered."""
        self.versions = self._now()

    def undo_if_untouched(self) -> None:
        """Restores the copies, unless the weights have been written to since."""
        if self._now() != self.versions:
            return
        with torch.no_grad():
            for name, value in tensors_of(self.model).items():
                local_of(value).copy_(local_of(self.weights[name]))

    def _now(self) -> dict[str, int]:
        return {name: local_of(value)._version for name, value in tensors_of(self.model).items()}
