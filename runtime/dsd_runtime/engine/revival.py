"""Weights that come back: which ones a boundary revives, and the values that they are given.

A revived weight is zero, or what `restore=` says. `restore=saved` needs the values that weights had when they were
pruned, which :class:`PrunedValues` keeps in host memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.shards import local_of, own_rows, processes_of, sharded_as


class PrunedValues:
    """The values that weights had when they were pruned, by parameter; none unless they are kept."""

    def __init__(self, *, is_kept: bool) -> None:
        self.is_kept = is_kept
        self._values: dict[str, Tensor] = {}

    def keep(self, before: Mapping[str, Tensor], masks: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
        """Keeps the values that ``masks`` are about to prune; weights pruned ``before`` keep the value kept then."""
        if not self.is_kept:
            return
        for name in masks:
            weights = parameters[name].detach()
            if name in self._values and name in before:
                kept = local_of(self._values[name])
                kept.copy_(torch.where(before[name].cpu(), local_of(weights).cpu(), kept))
            else:
                self._values[name] = weights.to("cpu", copy=True)

    def of(self, masks: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The kept values; raises :class:`DsdError` if those of a masked weight were not kept."""
        if any(name not in self._values for name in masks):
            help_line = "`restore=saved` must be set up before the weights are pruned"
            raise DsdError("the pruned values were not kept", help=help_line)
        return self._values

    def forget(self) -> None:
        """Drops the values; those of weights pruned later are kept again."""
        self._values = {}

    def state_dict(self) -> dict[str, Tensor]:
        """The values, live."""
        return dict(self._values)

    def load_state_dict(self, state: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
        """Takes saved values, of sharded weights as ``parameters`` are sharded now."""
        self._values = {name: sharded_as(parameters[name], value).cpu() for name, value in state.items()}


def revived_by(
    before: Mapping[str, Tensor], now: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], int]:
    """The positions of weights that are no longer masked, by parameter, for those with some; their number."""
    revived = {name: ~mask & now[name] if name in now else ~mask for name, mask in before.items()}
    own = np.array([int(torch.count_nonzero(where)) for where in revived.values()], np.int64)
    counts = processes_of(parameters.values()).sum(own)
    found = {name: where for (name, where), count in zip(revived.items(), counts, strict=True) if count}
    return found, int(counts.sum())


@torch.no_grad()
def restore(
    revived: Mapping[str, Tensor], values: Mapping[str, Tensor] | None, parameters: Mapping[str, Tensor]
) -> None:
    """Gives revived weights their values, or zero (None)."""
    for name, where in revived.items():
        parameter = local_of(parameters[name])
        if values is None:
            parameter.masked_fill_(where, 0)
        else:
            source = own_rows(values[name], parameters[name]).to(parameter.device, parameter.dtype)
            parameter.copy_(torch.where(where, source, parameter))
