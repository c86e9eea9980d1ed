"""What competes for a target: the weights of tensors as they are, or the units of their grids.

Weights may be sharded: each process has the rows of its own, and histograms are summed. Grids are computed of whole
tensors, gathered one at a time, so that every process finds the same units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.plan.allocation import Tensor as TensorCounts
from dsd_lang.plan.weight_units import WEIGHT, Unit
from dsd_runtime.masks.grids import Grid
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.processes import Processes
from dsd_runtime.masks.rows import select_in_rows
from dsd_runtime.masks.scores import Scores
from dsd_runtime.masks.selection import NonFiniteScore, first_non_finite, select_exactly_global
from dsd_runtime.masks.shards import gathered, is_sharded, own_rows, rows_of

Masks = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Entrants:
    """The tensors of one target by name, how they are scored, and where their inputs lie.

    ``alive`` has the weights that compete with `of=remaining` (None: all); ``refusal`` makes the error about a weight
    that cannot be ranked, from a name and a flat index in the whole tensor.
    """

    weights: Mapping[str, Tensor]
    score: Callable[[str], Scores]
    alive: Mapping[str, Tensor] | None
    axes: Mapping[str, InputAxis]
    processes: Processes
    refusal: Callable[[str, int], DsdError]

    def counts(self, masks: Mapping[str, Tensor]) -> dict[str, int]:
        """How many weights each mask keeps, over the rows of all processes."""
        own = np.array([int(torch.count_nonzero(mask)) for mask in masks.values()], np.int64)
        return dict(zip(masks, map(int, self.processes.sum(own)), strict=True))


class Weights:
    """Every weight competes for itself."""

    def __init__(self, entrants: Entrants) -> None:
        self._entrants = entrants
        sizes = {name: weight.numel() for name, weight in entrants.weights.items()}
        competing = sizes if entrants.alive is None else entrants.counts(entrants.alive)
        self.tensors = {
            name: TensorCounts(competing[name], sizes[name], tuple(weight.shape), _axis(entrants, name).dim)
            for name, weight in entrants.weights.items()
        }

    def counts(self, masks: Mapping[str, Tensor]) -> dict[str, int]:
        """How many competitors each mask keeps."""
        return self._entrants.counts(masks)

    def best(self, names: Sequence[str], keep: int) -> Masks:
        """The masks of the ``keep`` best of the named tensors in one competition."""
        if not names:
            return {}
        entrants = self._entrants
        scores = [entrants.score(name) for name in names]
        try:
            masks = select_exactly_global(
                [one.values for one in scores],
                keep,
                among=None if entrants.alive is None else [entrants.alive[name] for name in names],
                ranking=scores[0].ranking,
                starts=[_start(entrants.weights[name]) for name in names],
                processes=entrants.processes,
            )
        except NonFiniteScore as error:
            raise entrants.refusal(names[error.tensor], error.index) from error
        return dict(zip(names, masks, strict=True))


class Units:
    """The units of each tensor compete; a unit without a weight that competes is out."""

    def __init__(self, entrants: Entrants, unit: Unit) -> None:
        self._entrants, self._unit = entrants, unit
        shapes = {name: tuple(weight.shape) for name, weight in entrants.weights.items()}
        self._grids = {name: Grid.of(shape, unit, _axis(entrants, name)) for name, shape in shapes.items()}
        self._among = {name: self._grids[name].with_some(alive) for name in shapes for alive in self._alive(name)}
        self._scores: Masks = {}
        self.tensors = {
            name: TensorCounts(self._competing(name), grid.num_units, grid.shape, grid.axis.dim)
            for name, grid in self._grids.items()
        }

    def counts(self, masks: Mapping[str, Tensor]) -> dict[str, int]:
        """How many units each mask of a grid keeps."""
        return {name: int(torch.count_nonzero(mask)) for name, mask in masks.items()}

    def best(self, names: Sequence[str], keep: int) -> Masks:
        """The grids' masks of the ``keep`` best units of the named tensors in one competition."""
        if not names:
            return {}
        among = [self._among[name] for name in names] if self._among else None
        masks = select_exactly_global([self._scored(name) for name in names], keep, among=among)
        return dict(zip(names, masks, strict=True))

    def rows(self, name: str) -> Tensor:
        """How many units compete in each row of a tensor's grid, int64."""
        below, across = self._grids[name].extent
        if name not in self._among:
            return torch.full((below,), across, dtype=torch.int64)
        return self._among[name].sum(1).cpu()

    def best_of_rows(self, name: str, keep: Tensor) -> Tensor:
        """The grid's mask of the ``keep[r]`` best units of each row."""
        return select_in_rows(self._scored(name), keep, among=self._among.get(name))

    def spread(self, masks: Mapping[str, Tensor]) -> Masks:
        """The masks of the weights, of this process's rows; pruned weights stay pruned with `of=remaining`."""
        return {name: self._spread(name, mask) for name, mask in masks.items()}

    def _spread(self, name: str, mask: Tensor) -> Tensor:
        own = own_rows(self._grids[name].spread(mask), self._entrants.weights[name])
        alive = self._entrants.alive
        return own if alive is None else own.to(alive[name].device) & alive[name]

    def _scored(self, name: str) -> Tensor:
        """The scores of a tensor's units, [A, B]; raises for one that cannot be ranked."""
        if name in self._scores:
            return self._scores[name]
        found, grid = self._entrants.score(name), self._grids[name]
        alive = next(iter(self._alive(name)), None)
        values = self._whole(name, found.as_values())
        if (broken := _first_broken(values, alive)) is not None:
            raise self._entrants.refusal(name, broken)
        scores = grid.firsts(values) if found.is_drawn else grid.sums(values, alive)
        if (too_large := _first_broken(scores, None)) is not None:
            raise self._entrants.refusal(name, grid.first_weight(too_large))
        if self._unit != WEIGHT:
            self._scores[name] = scores
        return scores

    def _competing(self, name: str) -> int:
        return int(torch.count_nonzero(self._among[name])) if name in self._among else self._grids[name].num_units

    def _alive(self, name: str) -> list[Tensor]:
        """The whole mask of the weights that compete; nothing if all do."""
        return [] if self._entrants.alive is None else [self._whole(name, self._entrants.alive[name])]

    def _whole(self, name: str, own: Tensor) -> Tensor:
        weight = self._entrants.weights[name]
        return gathered(own, weight) if is_sharded(weight) else own


def _first_broken(scores: Tensor, among: Tensor | None) -> int | None:
    """The first flat index of a competing score that is not finite."""
    is_fine = torch.isfinite(scores)
    if bool((is_fine if among is None else is_fine.logical_or_(~among)).all()):
        return None
    found = first_non_finite([scores], None if among is None else [among.reshape(-1)])
    return None if found is None else found[1]


def _axis(entrants: Entrants, name: str) -> InputAxis:
    return entrants.axes.get(name, COLUMNS)


def _start(weight: Tensor) -> int:
    """The flat index of this process's first element in the whole weight."""
    rows = rows_of(weight)
    return rows.start * rows.row_size
