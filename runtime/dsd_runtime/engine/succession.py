"""Decides which phase comes next, from the timeline and the reported metrics.

Phases are in a sequence. If the condition of a `repeat N until COND` loop is true at the end of a cycle, its later
cycles are skipped. Reports may still change the answer until the next phase is entered. The phases of a loop are
consecutive, so once a phase after an ended loop has been entered, the loop need not be remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dsd_lang.plan import Condition, Phase
from dsd_runtime.engine.conditions import Evaluation, MetricHistory, close_cycles, replayed
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.stages import Stage, Timeline


class Succession:
    """The metrics for the conditions of loops."""

    def __init__(self, timeline: Timeline, table: MetricTable) -> None:
        self.history = MetricHistory()
        self._stages = timeline.stages
        self._table = table
        self._has_loops = any(stage.phase.cycles for stage in timeline.stages)

    def following(self, index: int) -> Stage | None:
        """The stage after that one, according to the reports so far; None at the end of the plan."""
        return next(self._ahead(index, self._trial()), None)

    def has_only_empty_left(self, index: int, *, by_reports: bool) -> bool:
        """Whether the remaining stages have no updates. ``by_reports`` includes loops that the latest reports end."""
        stages = self._ahead(index, self._trial()) if by_reports else iter(self._stages[index + 1 :])
        first = next(stages, None)
        return first is not None and first.length == 0 and all(stage.length == 0 for stage in stages)

    def cross(self, index: int, stage: Stage) -> None:
        """Moves from the stage with that index (-1: before the first) to the next one."""
        next(self._ahead(index, self.history), None)
        for cycle in stage.phase.cycles:
            self.history.start_loop(cycle.loop)
        self.history.enter_phase()

    def replay(self, finished: Sequence[tuple[Phase, Mapping[str, float] | None]]) -> None:
        """Makes earlier phases and their last metrics (None: skipped) the history; the last one is not left yet."""
        self.history, _ = replayed(finished, self._table, closes_last=False)

    def holds(self, condition: Condition) -> bool:
        """Whether a phase's own `until` condition is true."""
        return Evaluation(self.history, self._table).holds(condition)

    def _trial(self) -> MetricHistory:
        """A history for trying the next stages; a copy if there are any loops."""
        return self.history.to_try() if self._has_loops else self.history

    def _ahead(self, index: int, history: MetricHistory) -> Iterator[Stage]:
        """The stages after that one that no ended loop skips; closes the cycles in between in ``history``."""
        ended: set[str] = set()
        if index >= 0:
            close_cycles(history, ended, self._stages[index].phase, self._table)
        for later in range(index + 1, len(self._stages)):
            stage = self._stages[later]
            if any(cycle.loop in ended for cycle in stage.phase.cycles):
                close_cycles(history, ended, stage.phase, self._table)
            else:
                yield stage

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.history = MetricHistory.from_state_dict(state["history"])
