"""Finds the line of a phase or a branch, for plans of thousands of phases: each phase is looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsd_lang.plan.parts import Checkpoint, Phase


class Lines:
    """The lines of a plan."""

    def __init__(self, phases: Sequence[Phase], checkpoints: Iterable[Checkpoint]) -> None:
        self._by_id = {phase.id: phase for phase in phases}
        self._last = {phase.path: phase.id for phase in phases}
        self._positions: dict[str | None, list[tuple[int, Checkpoint]]] = {}
        for position, point in enumerate(checkpoints):
            self._positions.setdefault(point.phase, []).append((position, point))

    def __contains__(self, path: str) -> bool:
        return path in self._last

    def to(self, identifier: str) -> tuple[Phase, ...]:
        """The phases from the root to the phase with that id."""
        line = [self._by_id[identifier]]
        while line[-1].parent is not None:
            line.append(self._by_id[line[-1].parent])
        return tuple(reversed(line))

    def of(self, path: str) -> tuple[Phase, ...]:
        """The phases of a branch, and those before it."""
        return self.to(self._last[path])

    def checkpoints(self, phases: Iterable[Phase]) -> tuple[Checkpoint, ...]:
        """The checkpoints in these phases and the one of the initial weights, in the order of the plan."""
        found = [pair for one in (None, *(phase.id for phase in phases)) for pair in self._positions.get(one, ())]
        return tuple(point for _, point in sorted(found, key=lambda pair: pair[0]))
