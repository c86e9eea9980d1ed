"""Which phase comes next: a timeline and reported metrics in, the following stage out.

Phases stand in a line; a `repeat N until COND` loop whose condition holds at the end of a cycle is left, and its later
cycles are passed over. Reports decide, so the answer may change until the next phase is entered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from dsd_lang.plan import Condition, Cycle, Phase
from dsd_runtime.conditions import Evaluation, MetricHistory, replayed
from dsd_runtime.timeline import Stage, Timeline


class Succession:
    """The loops that have ended, and the metrics that decide."""

    def __init__(self, timeline: Timeline, percent_metrics: frozenset[str]) -> None:
        self.history = MetricHistory()
        self._stages = timeline.stages
        self._percent_metrics = percent_metrics
        self._ended: set[str] = set()

    def following(self, index: int) -> Stage | None:
        """The stage after that one, by what has been reported so far; None at the end of the line."""
        return next(self._after(index, self._ended | self._ending(index)), None)

    def has_only_empty_left(self, index: int, *, by_reports: bool) -> bool:
        """Whether stages follow, but none with an update. ``by_reports`` counts loops that the latest reports end."""
        ended = self._ended | self._ending(index) if by_reports else self._ended
        stages = self._after(index, ended)
        first = next(stages, None)
        return first is not None and first.length == 0 and all(stage.length == 0 for stage in stages)

    def cross(self, index: int, stage: Stage) -> None:
        """Goes from the stage of that index (-1: from before the first) to the next one."""
        self._ended |= self._ending(index)
        for cycle in self._closing(index):
            self.history.end_cycle(cycle.loop)
        for cycle in stage.phase.cycles:
            self.history.start_loop(cycle.loop)
        self.history.enter_phase()

    def replay(self, finished: Sequence[tuple[Phase, Mapping[str, float]]]) -> None:
        """Takes the finished phases of this line and their last metrics as the past; the last one is not yet left."""
        self.history, self._ended = replayed(finished, self._percent_metrics, closes_last=False)

    def holds(self, condition: Condition) -> bool:
        """Whether a phase's own `until` condition is true."""
        return Evaluation(self.history, self._percent_metrics).holds(condition)

    def _after(self, index: int, ended: Collection[str]) -> Iterator[Stage]:
        for place in range(index + 1, len(self._stages)):
            stage = self._stages[place]
            if not ended or not any(cycle.loop in ended for cycle in stage.phase.cycles):
                yield stage

    def _closing(self, index: int) -> list[Cycle]:
        return [] if index < 0 else [cycle for cycle in self._stages[index].phase.cycles if cycle.is_last_of_cycle]

    def _ending(self, index: int) -> set[str]:
        """Loops whose condition holds at the end of the cycle that is just over."""
        ending = set()
        for cycle in self._closing(index):
            trial = self.history.with_cycle_ended(cycle.loop)
            if Evaluation(trial, self._percent_metrics, cycle.loop).holds(cycle.until):
                ending.add(cycle.loop)
        return ending

    def state_dict(self) -> dict[str, Any]:
        return {"ended_loops": sorted(self._ended), "history": self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._ended = set(state["ended_loops"])
        self.history = MetricHistory.from_state_dict(state["history"])
