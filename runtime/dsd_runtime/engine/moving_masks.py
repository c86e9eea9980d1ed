"""Moves the masks of a phase with `update=`, at the updates that its closed form gives.

An update that moves masks is a mask update. With `set` and `rigl` it replaces the optimizer's step: the smallest
weights become 0, as many others are grown from 0 with empty optimizer state, and nothing else changes. With `magnitude`
the optimizer steps on the gradients of all weights, and then the masks are chosen again. In both cases the gradients
are the loop's own, unscaled and averaged over the processes, and no mask was applied to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from dsd_lang.plan.moving import MaskUpdates
from dsd_runtime.engine.boundary import Boundary
from dsd_runtime.engine.optimizer_state import forget_all_state, zero_state
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.engine.selection_plan import runtime_target
from dsd_runtime.engine.stages import Stage
from dsd_runtime.masks import NofM, input_axes
from dsd_runtime.masks.input_axes import COLUMNS
from dsd_runtime.masks.moving import MOVES, Move, num_dropped
from dsd_runtime.masks.shards import local_of, processes_of

Gradients = Mapping[int, Tensor]
"""The gradients of an update by the `id` of their parameter."""


def gradients_of(optimizer: Optimizer, *, hide: bool = False) -> Gradients:
    """The gradients of an optimizer's weights; with ``hide`` they are taken away, so that a step changes nothing."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
    found = {id(weight): weight.grad for weight in weights}
    if hide:
        for weight in weights:
            weight.grad = None
    return found


class MovingMasks:
    """The mask updates of one phase."""

    def __init__(self, stage: Stage, boundary: Boundary, updates: MaskUpdates, seed: int) -> None:
        self._stage, self._boundary, self._seed = stage, boundary, seed
        self._updates = updates
        self._method = MOVES[updates.name]

    @classmethod
    def of(cls, stage: Stage, boundary: Boundary, seed: int) -> MovingMasks | None:
        """Those of a phase; None without `update=`."""
        updates = MaskUpdates.of(stage.phase, stage.updates_per_epoch) if stage.phase.mode == "sparse" else None
        return None if updates is None else cls(stage, boundary, updates, seed)

    @property
    def replaces_step(self) -> bool:
        """Whether a mask update takes the place of the optimizer's step."""
        return self._method.replaces_step

    def is_due(self, step: int) -> bool:
        """Whether this update of the phase (from 0) is a mask update. One that would drop no weight is not."""
        if not self._updates.is_due(step):
            return False
        share, alive = self._updates.share(step), self._boundary.store.alive_counts()
        return not self.replaces_step or any(num_dropped(alive[name], share) for name in self._movable())

    def advice(self) -> list[str]:
        """Advice for a phase that is too short for a mask update."""
        length = self._stage.length
        if not length or not self._updates.drop or self._updates.count(length):
            return []
        name = self._stage.phase.label or self._stage.phase.id
        return [
            f"phase `{name}`: `update={self._updates.name}` moves no mask: `every=` is {self._updates.every} "
            f"updates, and the masks are fixed from update {float(self._updates.end):g} on; write a shorter `every=`"
        ]

    def move(self, step: int, update: int, gradients: Gradients, optimizer: Optimizer) -> dict[str, Any]:
        """Moves the masks at update ``step`` of the phase; returns how many weights moved, by weight and in all.

        A weight without a gradient keeps its mask. Raises :class:`DsdError` for values that cannot be ranked; no mask
        has changed then. With sharded weights it is a collective operation.
        """
        before = self._movable()
        moves = [move for name in before if (move := self._move_of(name, step, update, gradients)) is not None]
        chosen = {move.name: self._method.function(move) for move in moves}
        grown = {name: mask & ~before[name] for name, mask in chosen.items()}
        own = np.array([int(torch.count_nonzero(where)) for where in grown.values()], np.int64)
        counts = processes_of(move.weight for move in moves).sum(own)
        self._boundary.change_masks(chosen, optimizer)
        if self.replaces_step:
            self._empty(grown, optimizer)
        if isinstance(optimizer, LBFGS):
            forget_all_state(optimizer)  # its flat history has no entries to zero
        moved = dict(zip(grown, map(int, counts), strict=True))
        return {"moved": sum(moved.values()), "by_weight": moved}

    def _movable(self) -> dict[str, Tensor]:
        """The masks of the weights that the phase selects; all masks if it holds those of earlier phases."""
        store, selection = self._boundary.store, self._boundary.selection_of(self._stage.phase)
        if selection is None:
            return store.masks
        selected = {store.owner(name) for name in selection.names}
        return {name: mask for name, mask in store.masks.items() if name in selected}

    def _move_of(self, name: str, step: int, update: int, gradients: Gradients) -> Move | None:
        """The move of one weight; None if it has no gradient."""
        store, phase = self._boundary.store, self._stage.phase
        weights = store.parameters(name)
        own = [gradients[id(weight)] for weight in weights if id(weight) in gradients]
        if not own:
            return None
        position = f"{phase.path if phase.rng == 'distinct' else ''}:{update}:move"
        return Move(
            name,
            weights[0].detach(),
            store.masks[name],
            store.alive_counts()[name],
            _sum(own),
            self._updates.share(step),
            key=stream_key(self._seed, phase.seed_index, "mask", position),
            update=update,
            pattern=self._pattern_of(name),
            axis=input_axes(self._boundary.layers).get(name, COLUMNS),
        )

    def _pattern_of(self, name: str) -> NofM | None:
        """The pattern that the phase's target gives a weight, by the name of its mask."""
        selection, target = self._boundary.selection_of(self._stage.phase), self._stage.phase.target
        if selection is None or target is None:
            return None
        items = {self._boundary.store.owner(one): item for one, item in selection.assignment.items()}
        single = runtime_target(target.items[items[name]].target if target.items else target, 1)
        return single if isinstance(single, NofM) else None

    def _empty(self, grown: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        """Sets grown weights and their optimizer state to 0, whatever an optimizer has left there."""
        for name, where in grown.items():
            for parameter in self._boundary.store.parameters(name):
                own = local_of(parameter)
                with torch.no_grad():
                    own.masked_fill_(where.to(own.device), 0)
                zero_state(optimizer, parameter, where)


def _sum(gradients: Sequence[Tensor]) -> Tensor:
    """The gradient of one piece of memory: of separate parameters that share it, the sum; dense."""
    total = gradients[0].to_dense() if gradients[0].layout == torch.sparse_coo else gradients[0]
    for gradient in gradients[1:]:
        total = total + gradient
    return total.detach()
