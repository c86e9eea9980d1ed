"""The target of a sparse phase as data, and its exact ratio at an update.

A ratio is always the fraction *pruned*, an exact rational of the original size (:class:`Remaining`: of the unpruned
weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from dsd_lang.base.units import keep_count
from dsd_lang.plan.ramps import RampShape, ramp_value


@dataclass(frozen=True, slots=True)
class Pruned:
    """`sparse 0.5`: this fraction of the original size."""

    pruned: Fraction


@dataclass(frozen=True, slots=True)
class Remaining:
    """`sparse 20% of=remaining`: this fraction of the unpruned weights; only they compete."""

    pruned: Fraction


@dataclass(frozen=True, slots=True)
class NofM:
    """`sparse 2:4`: the largest N of every M along the input dimension are kept."""

    n: int
    m: int


@dataclass(frozen=True, slots=True)
class Ramp:
    """`sparse 0->90% ramp=cubic every=100it`: a target that changes during the phase, with repeated selections."""

    start: Fraction
    end: Fraction
    shape: RampShape = "cubic"
    every_updates: int = 100


@dataclass(frozen=True, slots=True)
class Held:
    """`sparse held`: the masks do not change."""


@dataclass(frozen=True, slots=True)
class Current:
    """`sparse held masks=current`: the zeros of the weights are the masks."""


SingleTarget = Pruned | Remaining | NofM | Ramp | Held | Current


@dataclass(frozen=True, slots=True)
class PerSelector:
    """`sparse [conv: 30%, fc: 50%]`: one target per selector, in the order of the list."""

    targets: tuple[SingleTarget, ...]


Target = SingleTarget | PerSelector


_STEPS = 10**9


def remaining_keep_count(alive: int, pruned: Fraction, *, minimum: int = 1) -> int:
    """How many of `alive` weights are kept if `pruned` of them are pruned, in whole weights: A - round_half_even(s A).

    >>> remaining_keep_count(30000, Fraction(1, 5))
    24000
    """
    return keep_count(alive, pruned, minimum=minimum)


def is_selection_due(ramp: Ramp, update: int, length: int) -> bool:
    """Whether a phase of `length` updates selects again before its update `update` (from 0)."""
    return 0 <= update < length and update % ramp.every_updates == 0


def ramp_sparsity(ramp: Ramp, update: int, length: int) -> Fraction:
    """The ratio at `update` (from 0) of a phase of `length` updates.

    Selections happen at 0, e, 2e, ... below `length`. The first uses exactly the left value and the last exactly the
    right one; between selections the value stays the same. Selection i of n has the value of
    :func:`dsd_lang.plan.ramps.ramp_value` with x = i/n. A phase too short for a second selection has the right value at
    once.

    >>> ramp_sparsity(Ramp(Fraction(0), Fraction(9, 10), "linear", 10), 25, 31)
    Fraction(3, 5)
    """
    if not update >= 0:
        raise ValueError(f"update must be at least 0, not {update}")
    last = max(length - 1, 0) // ramp.every_updates
    selection = min(update // ramp.every_updates, last)
    return ramp_value(ramp.start, ramp.end, ramp.shape, Fraction(selection, last) if last else Fraction(1))


def resolve_ramps(target: Target, update: int, length: int) -> Target:
    """The target at `update` of a phase of `length` updates: every ramp is replaced by its current ratio."""
    if isinstance(target, Ramp):
        return Pruned(ramp_sparsity(target, update, length))
    if isinstance(target, PerSelector):
        return PerSelector(
            tuple(Pruned(ramp_sparsity(t, update, length)) if isinstance(t, Ramp) else t for t in target.targets)
        )
    return target


def least_pruned(target: Target, share: Fraction) -> Target:
    """A target of shares with each of them lowered to at most ``share``.

    >>> least_pruned(Pruned(Fraction(4, 5)), Fraction(1, 2))
    Pruned(pruned=Fraction(1, 2))
    """
    if isinstance(target, PerSelector):
        return PerSelector(tuple(_lowered(single, share) for single in target.targets))
    return _lowered(target, share)


def _lowered(target: SingleTarget, share: Fraction) -> Pruned:
    if not isinstance(target, Pruned):
        raise ValueError(f"{target} is not a share")
    return Pruned(min(target.pruned, share))


def target_of(target: Target, name: str, selectors: Mapping[str, int]) -> SingleTarget:
    """The target of one parameter; ``selectors`` says which one of a list each parameter takes."""
    return target.targets[selectors[name]] if isinstance(target, PerSelector) else target


def is_chosen(target: SingleTarget) -> bool:
    """Whether scores choose what is kept."""
    return not isinstance(target, (Held, Current))


def eased(target: Target, share: float) -> Target:
    """A target on the way to this one: density d becomes d^share; what is no density prunes nothing yet.

    >>> eased(Pruned(Fraction(99, 100)), 0.5)
    Pruned(pruned=Fraction(9, 10))
    """
    if isinstance(target, PerSelector):
        return PerSelector(tuple(_eased(one, share) for one in target.targets))
    return _eased(target, share)


def _eased(target: SingleTarget, share: float) -> SingleTarget:
    if isinstance(target, (Pruned, Remaining)):
        density = Fraction(round(float(1 - target.pruned) ** share * _STEPS), _STEPS)
        return type(target)(1 - density)
    return target if isinstance(target, (Held, Current)) else Pruned(Fraction(0))
