"""What became of the phases of a run so far: trained here or elsewhere, reused, skipped, with their last metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.conditions import replayed
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.storage.checkpoint import load_plain


@dataclass(frozen=True, slots=True)
class NodeResult:
    """One phase after the run: its state (`trained`, `reused`, `skipped`) and its last metrics."""

    phase: Phase
    key: str
    state: str
    metrics: dict[str, float] = field(default_factory=dict)


class History:
    """The results of phases; those that this process does not know yet are read from the run folder."""

    def __init__(self, plan: Plan, keys: Mapping[str, str], folder: RunFolder, table: MetricTable) -> None:
        self._keys, self._folder, self._table = keys, folder, table
        self._lines = plan.lines()
        self._phases = {phase.id: phase for phase in plan.phases}
        self.results: dict[str, NodeResult] = {}

    def add(self, phase: Phase, state: str, metrics: dict[str, float]) -> None:
        """Notes what became of a phase."""
        self.results[phase.id] = NodeResult(phase, self._keys[phase.id], state, metrics)

    def of(self, phase: Phase) -> NodeResult:
        """The result of a phase that has ended."""
        if phase.id not in self.results:
            for member in self._lines.to(phase.id):
                if member.id not in self.results:
                    self._read(member)
        return self.results[phase.id]

    def past(self, phase: Phase) -> list[tuple[Phase, dict[str, float] | None]]:
        """The earlier phases on the line and their last metrics; None for those that were skipped."""
        results = [self.of(member) for member in self._lines.to(phase.id)[:-1]]
        return [(result.phase, None if result.state == "skipped" else result.metrics) for result in results]

    def is_skipped(self, phase: Phase) -> bool:
        """Whether a loop of this phase had ended before it."""
        if not phase.cycles:
            return False
        _, ended = replayed(self.past(phase), self._table, closes_last=True)
        return any(cycle.loop in ended for cycle in phase.cycles)

    def add_skipped(self, phase: Phase) -> None:
        """Notes that a phase is skipped: its metrics are those of the phase before it."""
        self.add(phase, "skipped", self.of(self._phases[phase.parent]).metrics if phase.parent is not None else {})

    def trained_ancestor(self, phase: Phase) -> Phase | None:
        """The nearest earlier phase on the line that was not skipped."""
        parent = phase.parent
        while parent is not None and self.of(self._phases[parent]).state == "skipped":
            parent = self._phases[parent].parent
        return self._phases[parent] if parent is not None else None

    def read_metrics(self, phase: Phase) -> dict[str, float]:
        """The last metrics of a phase that has a result in the folder."""
        end = self._folder.latest(self._keys[phase.id], "end")
        if end is None:
            raise DsdError(
                f"phase `{phase.label or phase.id}` has no checkpoint in `{self._folder.root}`",
                help="run the same command again",
            )
        with reading_state():
            metrics: dict[str, float] = load_plain(end, "node")["metrics"]
        return metrics

    def _read(self, phase: Phase) -> None:
        if self.is_skipped(phase):
            self.add_skipped(phase)
        else:
            self.add(phase, "reused", self.read_metrics(phase))
