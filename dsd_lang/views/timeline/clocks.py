"""When each phase runs: its start and length on a common axis, in epochs, in updates, or in phases.

Epochs and updates have no common axis before the data is known. A plan with both is drawn with equally long phases,
unless the number of updates per epoch is given.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import Length, approximate
from dsd_lang.plan import Duration, Phase, Plan

AxisUnit = Literal["epochs", "updates", "phases"]


class Stretch(NamedTuple):
    """When a phase runs, in the axis's unit."""

    start: float
    length: float

    @property
    def end(self) -> float:
        return self.start + self.length


class Clocks:
    """The axis of a plan, and the position of each phase on it."""

    def __init__(self, plan: Plan, steps_per_epoch: int | None = None) -> None:
        units = {phase.duration.unit for phase in plan.phases if phase.duration.value != "0"}
        self.steps_per_epoch = steps_per_epoch
        self.is_mixed = units == {"ep", "it"}
        self.unit: AxisUnit = "updates" if units == {"it"} else "epochs"
        if self.is_mixed and steps_per_epoch is None:
            self.unit = "phases"
        self.stretches: dict[str, Stretch] = {}
        self.line_ends: dict[str, float] = {}
        for phase in plan.phases:
            start = self.stretches[phase.parent].end if phase.parent is not None else 0.0
            self.stretches[phase.id] = Stretch(start, self._extent(phase))
            self.line_ends[phase.path] = self.stretches[phase.id].end
        self.total = max(self.line_ends.values(), default=0.0)

    def _extent(self, phase: Phase) -> float:
        length = phase.duration.length
        if self.unit == "phases":
            return 1.0 if length.value else 0.0
        extent = self._converted(length, "ep" if self.unit == "epochs" else "it")
        assert extent is not None, "an axis of epochs or updates has all lengths in them, or the steps of an epoch"
        return extent

    def _converted(self, length: Length, unit: Literal["ep", "it"]) -> float | None:
        if length.unit == unit or not length.value:
            return float(length.value)
        if self.steps_per_epoch is None:
            return None
        if unit == "ep":
            return approximate(length.value / self.steps_per_epoch)
        return approximate(Fraction(length.updates(self.steps_per_epoch)))

    def share(self, phase: Phase, length: Duration) -> float | None:
        """A length as a share of a phase; None if one is in epochs, the other in updates, and nothing relates them."""
        whole = phase.duration.length
        part = self._converted(length.length, whole.unit)
        if part is None:
            return None
        return part / float(whole.value) if whole.value else 0.0

    def epochs(self, phase: Phase) -> float | None:
        """A phase's length in epochs; None for one in updates if the number per epoch is unknown."""
        return self._converted(phase.duration.length, "ep")
