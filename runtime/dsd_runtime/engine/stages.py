"""The phases of a linear plan in whole updates: where each starts and ends.

These are the planned lengths, an upper limit; `until` can only end a phase earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dsd_lang.plan import Phase, Plan

UpdatesPerEpoch = int | Callable[[Phase], int]


@dataclass(frozen=True, slots=True)
class Stage:
    """One phase and its planned position: ``start`` and ``length`` in updates."""

    index: int
    phase: Phase
    start: int
    length: int
    updates_per_epoch: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stages of a linear plan, in order."""

    stages: tuple[Stage, ...]

    @property
    def total_updates(self) -> int:
        return self.stages[-1].end if self.stages else 0


def build_timeline(plan: Plan, updates_per_epoch: UpdatesPerEpoch) -> Timeline:
    """The timeline of a linear plan; ``updates_per_epoch`` may depend on the phase (its batch size)."""
    stages = []
    start = 0
    for index, phase in enumerate(plan.phases):
        per_epoch = updates_per_epoch(phase) if callable(updates_per_epoch) else updates_per_epoch
        if not isinstance(per_epoch, int) or per_epoch < 1:
            raise ValueError(f"steps_per_epoch must be a whole number of at least 1, not {per_epoch!r}")
        length = phase.duration.length.updates(per_epoch)
        stages.append(Stage(index, phase, start, length, per_epoch))
        start += length
    return Timeline(tuple(stages))
