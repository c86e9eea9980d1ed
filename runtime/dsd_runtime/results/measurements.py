"""What a run folder holds of each phase of its plan: the node's state, its metrics over time, and what it cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dsd_lang.base.metrics import MOVED
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.seeds import phases_by_arm
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.flops import CountedUpdate, FlopsByLayer, masked_shares
from dsd_runtime.results.parts import MetricRow

SECONDS = "seconds"
"""The row at a node's end that says how long its training and evaluations took, in all sittings; no metric."""
MetricRows = list[MetricRow]


@dataclass(frozen=True, slots=True)
class Measurements:
    """The measurements of a run by phase. A node that several phases share is the same measurements for each."""

    plan: Plan
    nodes: Mapping[str, str]
    folder: RunFolder
    states: Mapping[str, str]
    series: Mapping[str, Mapping[str, MetricRows]] = field(default_factory=dict)
    own_metrics: Mapping[str, str] = field(default_factory=dict)
    counted: CountedUpdate | None = None
    arms: Mapping[str, Mapping[str, list[Phase]]] = field(default_factory=dict)
    """The own phases of each arm, by the path of each of its seeds."""
    _flops: dict[str, FlopsByLayer | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: Plan,
        nodes: Mapping[str, str],
        folder: RunFolder,
        rows: Iterable[MetricRow],
        own_metrics: Mapping[str, str],
        counted: CountedUpdate | None = None,
    ) -> Measurements:
        """``nodes`` are the keys of the phases' nodes by phase id; rows of other nodes are left alone.

        ``own_metrics`` are the directions of the user's own metrics, ``counted`` are the FLOPs of an update.
        """
        series: dict[str, dict[str, MetricRows]] = {}
        for row in rows:
            series.setdefault(row.node, {}).setdefault(row.name, []).append(row)
        paths = {phase.id: phase.path for phase in plan.phases}
        states = {phase: folder.state(key, paths.get(phase)) for phase, key in nodes.items()}
        return cls(plan, nodes, folder, states, series, own_metrics, counted, phases_by_arm(plan.phases))

    def state(self, phase: Phase) -> str:
        """`trained`, `skipped`, `unfinished (500it)` or `to train`."""
        return self.states.get(phase.id, "to train")

    def trained(self, phase: Phase) -> Phase | None:
        """The phase, or where an ended loop has skipped it the nearest one above that was trained; None: not yet."""
        by_id = {member.id: member for member in self.plan.line(phase.id)}
        while self.state(phase) == "skipped":
            if phase.parent is None:
                return None
            phase = by_id[phase.parent]
        return phase if self.state(phase) == "trained" else None

    def over_time(self, phase: Phase, name: str) -> MetricRows:
        """The measurements of a metric in a phase, in order."""
        return self.series.get(self.nodes.get(phase.id, ""), {}).get(name, [])

    def at_end(self, phase: Phase) -> dict[str, float | None]:
        """The last measurement of each metric, without the training's own `loss` and `lr`, and mask updates."""
        found = self.series.get(self.nodes.get(phase.id, ""), {})
        return {name: rows[-1].value for name, rows in found.items() if name not in ("loss", "lr", MOVED, SECONDS)}

    def last_row(self, phase: Phase) -> MetricRow | None:
        """The latest measurement of any kind: how far the phase's training is."""
        found = self.series.get(self.nodes.get(phase.id, ""), {})
        return max(itertools.chain.from_iterable(found.values()), key=lambda row: row.update, default=None)

    def seconds(self, phase: Phase) -> float | None:
        rows = self.over_time(phase, SECONDS)
        return rows[-1].value if rows else None

    def first_rate(self, phase: Phase) -> float | None:
        rows = self.over_time(phase, "lr")
        return rows[0].value if rows else None

    def flops(self, phase: Phase) -> FlopsByLayer | None:
        """The FLOPs of what is trained of a phase, by layer; None if they were not counted."""
        row, key = self.last_row(phase), self.nodes.get(phase.id)
        if self.counted is None or row is None or key is None:
            return None
        if key not in self._flops:  # a phase is asked for by its own row, the run's cost and every arm above it
            masked = masked_shares(self.folder.densities(key), updates=row.update)
            self._flops[key] = self.counted.flops(phase, row, masked)
        return self._flops[key]

    def density_weighted_epochs(self, phase: Phase) -> float:
        """The phase's epochs, each times the share of weights that were not masked in it."""
        total, before = 0.0, 0.0
        for row in self.over_time(phase, "sparsity"):
            total += (row.epoch - before) * (1 - (row.value or 0.0))
            before = row.epoch
        return total
