"""Describes a run before it starts: resolved phases, matched layers, estimated time and disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsd_lang.base.layers import LayerInfo
from dsd_lang.views.table import layers_text, rate_text, target_text
from dsd_runtime.engine.selection_plan import select_weights
from dsd_runtime.engine.stages import Timeline, build_timeline
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.longer import Shorter
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.survey import Speed, Survey, measure_speed
from dsd_runtime.tracking.console import format_bytes, phase_name, table_within
from dsd_runtime.tracking.durations import format_seconds
from dsd_runtime.tracking.forecast import Forecast, NodeWork


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase of the table, ready to print."""

    index: int
    name: str
    mode: str
    pruned: str
    layers: str
    length: str
    updates: int
    updates_left: int
    rate: str
    state: str
    key: str


@dataclass(frozen=True, slots=True)
class RunCost:
    """What is left to train by node key, and the cost of an update, an evaluated sample and a checkpoint."""

    work: Mapping[str, NodeWork]
    seconds_per_update: float
    seconds_per_sample: float
    bytes_per_checkpoint: int

    @property
    def updates_left(self) -> int:
        return sum(node.updates for node in self.work.values())

    def forecast(self) -> Forecast:
        """The first estimate for the progress display."""
        return Forecast.of(
            self.work, seconds_per_update=self.seconds_per_update, seconds_per_sample=self.seconds_per_sample
        )

    def as_data(self) -> dict[str, float]:
        """The cost for `--json`."""
        return {
            "updates_left": self.updates_left,
            "seconds_per_update": self.seconds_per_update,
            "seconds_per_sample": self.seconds_per_sample,
            "seconds_left": self.forecast().seconds_left(),
            "bytes_per_checkpoint": self.bytes_per_checkpoint,
            "checkpoints_left": len(self.work),
        }

    def __str__(self) -> str:
        disk = format_bytes(self.bytes_per_checkpoint * len(self.work))
        if not self.work:
            return "nothing left to train"
        return (
            f"{self.updates_left} updates to train at about {format_seconds(self.seconds_per_update)} each, with the "
            f"evaluations about {format_seconds(self.forecast().seconds_left())}; {disk} of checkpoints"
        )


def timelines(prepared: Prepared) -> dict[str, Timeline]:
    """The timeline of each line of the plan by its path."""
    plan, lines = prepared.plan, prepared.plan.lines()
    return {
        path: build_timeline(plan.branch(path, lines), lambda phase: prepared.updates_per_epoch(phase.batch))
        for path in dict.fromkeys(phase.path for phase in plan.phases)
    }


def phase_rows(
    prepared: Prepared,
    layers: Sequence[LayerInfo],
    folder: RunFolder,
    keys: Mapping[str, str],
    shorter: Mapping[str, Shorter],
) -> list[PhaseRow]:
    """The table of a run; raises :class:`DsdError` for a selector that matches nothing in the model."""
    lengths = {stage.phase.id: stage.length for line in timelines(prepared).values() for stage in line.stages}
    sizes = {weight.name: weight.size for layer in layers for weight in layer.weights}
    rows = []
    for index, phase in enumerate(prepared.plan.phases):
        matched, key = "-", keys[phase.id]
        state = folder.state(key, phase.path) if prepared.request.mode != "fresh" else "to train"
        done = folder.progress_updates(key)
        if key in shorter:
            done = shorter[key].updates
            state = f"longer (from {done}it)"
        if phase.mode == "sparse" and not (phase.target and phase.target.kind == "held"):
            names = select_weights(phase, layers).names
            total = sum(sizes[name] for name in names)
            matched = f"{layers_text(phase)} ({len(names)} matrices, {total:,} weights)"
        rows.append(
            PhaseRow(
                index,
                phase_name(phase),
                phase.mode,
                target_text(phase.target),
                matched,
                str(phase.duration.length),
                lengths[phase.id],
                _updates_left(state, lengths[phase.id], done),
                rate_text(phase.lr),
                state,
                key,
            )
        )
    return rows


def _updates_left(state: str, length: int, done: int) -> int:
    return 0 if state in ("trained", "skipped") else max(0, length - (done if state != "to train" else 0))


def format_rows(rows: Sequence[PhaseRow], width: int | None) -> str:
    """The rows as an aligned plain-text table, without columns that do not fit in ``width`` (None: no limit)."""
    columns = [
        ("#", [str(row.index) for row in rows]),
        ("phase", [row.name for row in rows]),
        ("mode", [row.mode for row in rows]),
        ("pruned", [row.pruned for row in rows]),
        ("layers", [row.layers for row in rows]),
        ("length", [row.length for row in rows]),
        ("updates", [str(row.updates) for row in rows]),
        ("start lr", [row.rate for row in rows]),
        ("state", [row.state for row in rows]),
    ]
    return table_within(columns, width, ("layers", "length", "mode", "pruned", "start lr"))


def estimate_cost(prepared: Prepared, found: Survey, rows: Sequence[PhaseRow]) -> RunCost:
    """The cost of the nodes that are not trained yet; nodes shared by branches count once."""
    sizes = prepared.data.sizes
    at_end = sizes.get("test", 0)
    epochs = {row.key: prepared.updates_per_epoch(prepared.plan.phases[row.index].batch) for row in rows}
    work = {
        row.key: NodeWork(row.updates_left, epochs[row.key], sizes.get("val", 0), at_end)
        for row in rows
        if row.state not in ("trained", "skipped")
    }
    speed = measure_speed(prepared, found.probe) if work else Speed(0.0, 0.0)
    return RunCost(work, speed.per_update, speed.per_sample, found.bytes_per_checkpoint)
