"""Moves masks while a phase trains: the weights of one parameter that are dropped, and those that are grown for them.

The registry of `update=`. Each method keeps the exact number of unpruned weights of every parameter. Selections are the
exact ones of :mod:`dsd_runtime.masks.selection`: of equal values those with the lowest flat index are kept, and grown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import keep_count
from dsd_runtime.masks.choose import choose_masks
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.shards import local_of, processes_of
from dsd_runtime.masks.targets import NofM, Pruned, Remaining


@dataclass(frozen=True, slots=True)
class Move:
    """A mask update of one parameter: its weights, its mask and their exact number, the share to drop, a random key.

    ``gradient`` is that of the whole weight, not masked. Of a sharded parameter, ``weight`` and ``gradient`` are
    sharded, and ``mask`` is that of this process's rows. ``pattern`` is the `N:M` that the mask has.
    """

    name: str
    weight: Tensor
    mask: Tensor
    alive: int
    gradient: Tensor
    share: Fraction
    key: int
    update: int
    pattern: NofM | None = None
    axis: InputAxis = COLUMNS


def num_dropped(alive: int, share: Fraction) -> int:
    """How many of ``alive`` weights a mask update drops: that share in whole weights, rounded half to even.

    >>> num_dropped(50, Fraction(3, 10))
    15
    """
    return alive - keep_count(alive, share, minimum=0)


@dataclass(frozen=True, slots=True)
class MoveMethod:
    """One method: the new mask of a parameter, of the rows of this process, and whether it replaces the update's step.

    Where it does not, the optimizer makes its step first, with the gradients of all weights.
    """

    function: Callable[[Move], Tensor]
    replaces_step: bool


def rigl(move: Move) -> Tensor:
    """Drops the smallest weights, and grows those with the largest gradients among all others, just dropped or not.

    Algorithm 1 of Evci et al., *Rigging the Lottery*, ICML 2020. Raises :class:`DsdError` for a gradient that is not
    finite.
    """
    _require_finite_gradient(move)
    return _drop_and_grow(move, by="magnitude", scored=move.gradient)


def set_(move: Move) -> Tensor:
    """Drops the smallest weights, and grows as many at random among all others, just dropped or not.

    Mocanu et al., *Scalable training of artificial neural networks with adaptive sparse connectivity*, 2018. The
    numbers depend on the key and the parameter's name alone.
    """
    return _drop_and_grow(move, by="random", scored=move.weight)


def magnitude(move: Move) -> Tensor:
    """Chooses the largest weights again, as many as there are (of an `N:M` pattern, in every group).

    After a step with the gradients of all weights it is the step of iterative hard thresholding: Jin et al., *Training
    skinny deep neural networks with iterative hard thresholding methods*, 2016.
    """
    size = move.weight.numel()
    target = Pruned(1 - Fraction(move.alive, max(1, size))) if move.pattern is None else move.pattern
    return choose_masks(
        weights={move.name: move.weight},
        target=target,
        minimum=0,
        update=move.update,
        input_axes={move.name: move.axis},
    ).masks[move.name]


def _drop_and_grow(move: Move, *, by: str, scored: Tensor) -> Tensor:
    """The mask without its smallest weights, and with as many others, the largest by the scores of ``scored``."""
    name, count = move.name, num_dropped(move.alive, move.share)
    if not count:
        return move.mask.clone()
    kept = choose_masks(
        weights={name: move.weight},
        target=Remaining(Fraction(count, move.alive)),
        alive={name: move.mask},
        minimum=0,
        update=move.update,
    ).masks[name]
    num_others = move.weight.numel() - move.alive + count
    grown = choose_masks(
        weights={name: scored},
        target=Remaining(1 - Fraction(count, num_others)),
        by=by,
        key=move.key,
        alive={name: ~kept},
        minimum=0,
        update=move.update,
    ).masks[name]
    return kept | grown


def _require_finite_gradient(move: Move) -> None:
    own = int(torch.count_nonzero(~torch.isfinite(local_of(move.gradient))))
    count = int(processes_of([move.weight]).sum(np.array([own], np.int64))[0])
    if count:
        raise DsdError(
            f"{count} gradients of `{move.name}` are not finite at update {move.update}, so no weight can be grown by "
            "them",
            help="lower the learning rate or clip the gradients; no mask was changed",
        )


MOVES: dict[str, MoveMethod] = {
    "set": MoveMethod(set_, replaces_step=True),
    "rigl": MoveMethod(rigl, replaces_step=True),
    "magnitude": MoveMethod(magnitude, replaces_step=False),
}
