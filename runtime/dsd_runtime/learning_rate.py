"""The learning rate of every update, in closed form, and its one owner.

``rate(t) = start x shape(t) x warm-up(t)``: the shape runs over the phase (or the clock the phase names), the warm-up is
linear over the phase's first updates. Exact rationals from the plan become one float at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor
from torch.optim import Optimizer

from dsd_lang.errors import DsdError
from dsd_lang.plan import Decay, Milestone
from dsd_lang.units import Length, exact


@dataclass(frozen=True, slots=True)
class ShapeClock:
    """What drives a shape: the reading at the phase's first update, and the updates after which the shape is over."""

    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """The learning rate of one phase as a function of the update within it (from 0)."""

    start: Fraction
    decay: Decay
    clock: ShapeClock
    updates_per_epoch: int
    warmup_updates: int = 0

    def __call__(self, update: int) -> float:
        """The learning rate used by that update of the phase."""
        value = _shaped(self.start, self.decay, update + self.clock.offset, self.clock.total, self.updates_per_epoch)
        if update < self.warmup_updates:
            return value * (update + 1) / self.warmup_updates
        return value


def milestone_update(milestone: Milestone, total: int, updates_per_epoch: int) -> int:
    """The update at which a milestone takes effect."""
    if milestone.unit == "ratio":
        return round(exact(milestone.value) * total)
    return Length(exact(milestone.value), milestone.unit).updates(updates_per_epoch)


def _shaped(exact_start: Fraction, decay: Decay, update: int, total: int, updates_per_epoch: int) -> float:
    start = float(exact_start)
    floor = float(exact(decay.floor)) if decay.floor is not None else 0.0
    progress = min(1.0, update / total) if total else 0.0
    if decay.kind == "cosine":
        return floor + (start - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
    if decay.kind == "linear":
        return start + (floor - start) * progress
    if decay.kind == "step":
        passed = sum(update >= milestone_update(point, total, updates_per_epoch) for point in decay.milestones)
        return max(floor, float(exact_start * exact(decay.factor or "0.1") ** passed))
    if decay.kind == "exp":
        return max(floor, start * float(exact(decay.factor or "1")) ** (update // updates_per_epoch))
    return start


class RateOwner:
    """Sets the learning rate of an optimizer's groups, which keep their ratios, and sees that nobody else does."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        default = float(optimizer.defaults.get("lr", rates[0]))
        self.own_rate = default if default in rates else rates[0]
        self._ratios = [rate / self.own_rate if self.own_rate else 1.0 for rate in rates]
        self._set: list[float] | None = None

    @property
    def rates(self) -> Sequence[float]:
        """The learning rate of each group as the optimizer will use it."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def set(self, rate: float) -> None:
        """Gives every group its share of the rate; a tensor learning rate is filled in place."""
        for group, ratio in zip(self._optimizer.param_groups, self._ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        self._set = list(self.rates)

    def check(self) -> None:
        """Raises :class:`DsdError` when something else changed a learning rate since it was set here."""
        if len(self._optimizer.param_groups) != len(self._ratios):
            raise DsdError(
                "the optimizer got a parameter group after `attach()`",
                help="add every parameter group before `attach()`",
            )
        if self._set is not None and self._set != list(self.rates):
            pairs = zip(self._set, self.rates, strict=True)
            index, (expected, found) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
            raise DsdError(
                f"the learning rate of parameter group {index} is {found:g} where the schedule set {expected:g}",
                help="the schedule owns the learning rate: remove the other scheduler",
            )

    def state_dict(self) -> dict[str, object]:
        return {"own_rate": self.own_rate, "ratios": list(self._ratios)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        ratios = state["ratios"]
        assert isinstance(ratios, list)
        self.own_rate = float(state["own_rate"])  # type: ignore[arg-type]
        self._ratios = [float(ratio) for ratio in ratios]
        self._set = None
