"""Trains the phase tree of a prepared run in order, each node once.

A node whose finished checkpoint is in the run folder is not trained again. One session continues from phase to phase
along a line. If a branch starts elsewhere, a new session is loaded from the parent's checkpoint. Both ways give the
same results, because a checkpoint is complete.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn

from dsd_lang.base.metrics import RELU_ENTROPY
from dsd_lang.plan import Checkpoint, Phase, Plan
from dsd_lang.plan.dependencies import execution_order
from dsd_runtime.engine.conditions import replayed
from dsd_runtime.engine.generators import seed_generators
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.engine.references import ClockReading, put_buffers, reference_key, unsaved_buffers
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import node_keys
from dsd_runtime.experiment.line import ReportRelay, TrainedLine, attached
from dsd_runtime.experiment.longer import Shorter, open_key
from dsd_runtime.experiment.references import FolderReferences
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.storage.checkpoint import load_checkpoint, save_weights
from dsd_runtime.storage.durable import number_of, numbered, remove, write_json
from dsd_runtime.tracking.tracker import NodeInTraining, Tracker
from dsd_runtime.training.loop import (
    PhaseRun,
    Stopped,
    TrainingBatches,
    evaluate_splits,
    start_of_phase,
    train_phase,
)
from dsd_runtime.training.relu_entropy import LayerEntropy


@dataclass(frozen=True, slots=True)
class NodeResult:
    """One phase after the run: its state (`trained`, `reused`, `skipped`) and its last metrics."""

    phase: Phase
    key: str
    state: str
    metrics: dict[str, float] = field(default_factory=dict)


class Runner:
    """Trains a plan in one run folder."""

    def __init__(
        self,
        prepared: Prepared,
        folder: RunFolder,
        tracker: Tracker,
        *,
        should_stop: Callable[[], bool],
        shorter: Mapping[str, Shorter] | None = None,
    ) -> None:
        self._prepared = prepared
        self._folder = folder
        self._tracker = tracker
        self._should_stop = should_stop
        self._shorter = shorter or {}
        self.plan: Plan = prepared.plan
        self.keys = node_keys(prepared.plan, prepared.setting)
        self._lines = {path: self.plan.branch(path) for path in dict.fromkeys(phase.path for phase in self.plan.phases)}
        self._line: TrainedLine | None = None
        self._phases = {phase.id: phase for phase in self.plan.phases}
        restoring = [phase for phase in self.plan.phases if phase.restore.kind == "saved"]
        above = [member for phase in restoring for member in self.plan.line(phase.id) if member.mode == "sparse"]
        self._keys_with_saved = {self.keys[member.id] for member in above}
        self._has_loops = any(phase.cycles for phase in self.plan.phases)
        self._table = MetricTable(prepared.percent_metrics, prepared.own_directions)
        self._results: dict[str, NodeResult] = {}

    def run(self) -> list[NodeResult]:
        """Trains what is not trained yet, each node after everything it needs; returns one result per phase, in order.

        Raises :class:`~dsd_runtime.training.loop.Stopped` after saving the progress if a stop is requested.
        """
        for phase in execution_order(self.plan):
            self._results[phase.id] = self._visit(phase)
        return list(self._results.values())

    # --- one node -----------------------------------------------------------------------------------------------------

    def _visit(self, phase: Phase) -> NodeResult:
        key = self.keys[phase.id]
        if self._is_skipped(phase):
            self._folder.mark_skipped(key, phase.path, is_skipped=True)
            self._tracker.skipped(phase, key)
            return NodeResult(phase, key, "skipped", self._parent_metrics(phase))
        self._folder.mark_skipped(key, phase.path, is_skipped=False)
        end = self._folder.latest(key, "end")
        if end is not None and self._has_references(phase) and self._has_saved(key, end):
            with reading_state():
                metrics = load_checkpoint(end, ["node"])["node"]["metrics"]
            if self._prepared.measures_entropy and RELU_ENTROPY not in metrics:
                metrics = self._with_entropy(phase, key, metrics)
            self._tracker.reused(phase, key, metrics)
            return NodeResult(phase, key, "reused", metrics)
        metrics = self._train(phase, key)
        return NodeResult(phase, key, "trained", metrics)

    def _train(self, phase: Phase, key: str) -> dict[str, float]:
        line = self._line_at_start_of(phase)
        run = self._phase_run(phase, key, line)
        if self._resume(phase, key, run, line):
            self._tracker.resumed(NodeInTraining(phase, key, line.session))
        else:
            self._enter(phase, key, line)
        try:
            metrics = train_phase(run)
        except Stopped:
            self._save(line, run, key, "progress", {})
            raise
        line.at = phase.id
        self._tracker.finished(NodeInTraining(phase, key, line.session), metrics, seconds=run.seconds)
        self._save(line, run, key, "end", metrics)
        return metrics

    def _with_entropy(self, phase: Phase, key: str, metrics: dict[str, float]) -> dict[str, float]:
        """The metrics of a node that was trained before the schedule read `entropy.relu`, which is measured now."""
        line = self._line = self._new_line(phase.path, phase)
        run = self._phase_run(phase, key, line)
        measured = {RELU_ENTROPY: evaluate_splits(run, ("val",))[RELU_ENTROPY]}
        line.reports(measured)
        found = {**metrics, **measured}
        self._save(line, run, key, "end", found)
        return found

    def _resume(self, phase: Phase, key: str, run: PhaseRun, line: TrainedLine) -> bool:
        """Resumes from a node's progress, if there is one and it has every snapshot that was due."""
        progress = self._folder.latest(key, "progress")
        if progress is not None and self._has_references(phase, up_to=progress) and self._has_saved(key, progress):
            loop = line.load(progress)
        elif key in self._shorter and self._has_saved(key, self._shorter[key].checkpoint):
            loop = line.load(self._shorter[key].checkpoint, is_longer=True)
        else:
            return False
        with reading_state():
            run.pass_loss, run.pass_updates = float(loop["pass_loss"]), int(loop["pass_updates"])
            run.seconds_before = float(loop.get("seconds", 0.0))  # checkpoints of version 0.1 do not have it
        return True

    def _enter(self, phase: Phase, key: str, line: TrainedLine) -> None:
        session = line.session
        self._seed_generators(phase, session)
        if self._has_loops:
            session.replay(self._past(phase))
        before = len(session.events)
        self._tracker.before_boundary(NodeInTraining(phase, key, session))
        session.set_data_position(*start_of_phase(phase, session.data_position, self._clock_reading(phase)))
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # they are events, which the console shows
            session.enter_next()
        self._tracker.entered(NodeInTraining(phase, key, session), session.events[before:])

    def _clock_reading(self, phase: Phase) -> ClockReading | None:
        reference = phase.clock.reference
        return self._references(phase.seed_index).load(reference_key(reference)).reading if reference else None

    def _seed_generators(self, phase: Phase, session: Session) -> None:
        """Seeds the global generators (used by dropout and others) for the phase."""
        position = f"{phase.path if phase.rng == 'distinct' else ''}:{session.total_updates}"
        seed_generators(stream_key(self._prepared.seed, phase.seed_index, "dropout", position))

    def _phase_run(self, phase: Phase, key: str, line: TrainedLine) -> PhaseRun:
        prepared = self._prepared
        position = phase.path if phase.rng == "distinct" else ""
        here = NodeInTraining(phase, key, line.session)
        line.reports.listener = self._tracker.listener(here).reported
        run = PhaseRun(
            session=line.session,
            model=line.model,
            forward=line.forward,
            task=prepared.task,
            batches=TrainingBatches(
                prepared.training_data(phase.seed_index),
                prepared.batch_size(phase.batch),
                stream_key(prepared.seed, phase.seed_index, "data", position),
                prepared.request.workers,
            ),
            precision=prepared.precision,
            listener=self._tracker.listener(here),
            scaler=line.scaler,
            should_stop=self._should_stop,
            save_every_seconds=prepared.request.save_every_seconds,
        )
        if prepared.measures_entropy:
            run.keep_entropies = partial(self._write_entropies, key)
        run.save_progress = lambda: self._save(line, run, key, "progress", {})
        return run

    # --- lines --------------------------------------------------------------------------------------------------------

    def _line_at_start_of(self, phase: Phase) -> TrainedLine:
        """The live line if it is at the end of the phase's parent, else one loaded from its checkpoint."""
        parent = self._trained_ancestor(phase)
        line = self._line
        goes_on = line is not None and line.at == (parent.id if parent else None)
        if line is None or not goes_on or line.path != phase.path:
            line = self._new_line(phase.path, parent)
        self._line = line
        return line

    def _new_line(self, path: str, parent: Phase | None) -> TrainedLine:
        prepared, plan = self._prepared, self._lines[path]
        first = plan.phases[0]
        if self._line is None:
            model = self._initial_model(first.seed_index).to(prepared.precision.device)
        else:
            self._line.session.release()
            model = self._line.model
            if parent is None:
                initial = self._initial_model(first.seed_index)
                model.load_state_dict(initial.state_dict())
                put_buffers(model, unsaved_buffers(initial))
        forward = self._line.forward if self._line is not None else self._compiled(model)
        self._line = None
        reports = ReportRelay()
        references = self._references(first.seed_index)
        session = attached(prepared, plan, model, factory=prepared.build, references=references, on_report=reports)
        line = TrainedLine(path, session, model, forward, prepared.precision.scaler(), reports)
        if parent is not None:
            end = self._folder.latest(self.keys[parent.id], "end")
            assert end is not None
            line.load(end)
            line.at = parent.id
        return line

    def _compiled(self, model: nn.Module) -> nn.Module:
        return cast(nn.Module, torch.compile(model)) if self._prepared.request.is_compiled else model

    def _trained_ancestor(self, phase: Phase) -> Phase | None:
        """The nearest earlier phase on the line that was not skipped."""
        parent = phase.parent
        while parent is not None and self._results[parent].state == "skipped":
            parent = self._phases[parent].parent
        return self._phases[parent] if parent is not None else None

    def _is_skipped(self, phase: Phase) -> bool:
        """Whether a loop of this phase had ended before it."""
        if not phase.cycles:
            return False
        _, ended = replayed(self._past(phase), self._table, closes_last=True)
        return any(cycle.loop in ended for cycle in phase.cycles)

    def _past(self, phase: Phase) -> list[tuple[Phase, dict[str, float] | None]]:
        """The earlier phases on the line and their last metrics; None for those that were skipped."""
        results = [self._results[member.id] for member in self.plan.line(phase.id)[:-1]]
        return [(result.phase, None if result.state == "skipped" else result.metrics) for result in results]

    def _has_references(self, phase: Phase, *, up_to: Path | None = None) -> bool:
        """Whether a node has every snapshot that the plan needs (for a progress checkpoint, those already due).

        A snapshot that was added to the schedule later was never taken, so the node is trained again.
        """
        references = self._references(phase.seed_index)
        points = [point for point in self.plan.checkpoints if point.phase == phase.id]
        return all(
            references.has(reference_key(point))
            for point in points
            if up_to is None or self._is_due(point, phase, up_to)
        )

    def _has_saved(self, key: str, checkpoint: Path) -> bool:
        """Whether a checkpoint has the pruned values, where a `restore=saved` below needs them: it may be older."""
        if key not in self._keys_with_saved:
            return True
        with reading_state():
            return bool(load_checkpoint(checkpoint, ["node"])["node"].get("keeps_saved", False))

    def _is_due(self, point: Checkpoint, phase: Phase, progress: Path) -> bool:
        """Whether the moment was before the progress was saved."""
        if point.moment == "best":
            with reading_state():
                return load_checkpoint(progress, ["session"])["session"]["best"] is not None
        if point.moment == "at" and point.offset is not None:
            offset = point.offset.length.updates(self._prepared.updates_per_epoch(phase.batch))
            return offset <= number_of(progress)
        return point.moment != "end"

    def _references(self, seed_index: int) -> FolderReferences:
        return FolderReferences(self._folder, self.keys, lambda: self._initial_model(seed_index).state_dict())

    def _initial_model(self, seed_index: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_key(self._prepared.seed, seed_index, "init"))
            return self._prepared.build()

    def _parent_metrics(self, phase: Phase) -> dict[str, float]:
        return self._results[phase.parent].metrics if phase.parent is not None else {}

    # --- files --------------------------------------------------------------------------------------------------------

    def _save(self, line: TrainedLine, run: PhaseRun, key: str, kind: str, metrics: Mapping[str, float]) -> None:
        line.session.require_finite()
        node = self._folder.node(key)
        target = node / f"{kind}-{line.session.phase.step:010d}"
        line.save(target, run, metrics, open_key=self._open_key(line) if kind == "end" else None)
        for path in numbered(node, "progress"):
            if path != target:
                remove(path)
        self._tracker.saved(target)

    def _write_entropies(self, key: str, layers: Mapping[str, LayerEntropy]) -> None:
        data = {name: layer._asdict() for name, layer in layers.items()}
        write_json(self._folder.entropies(key), {"layers": data})

    def _open_key(self, line: TrainedLine) -> str | None:
        stage = line.session.stage
        return open_key(self.plan, self._phases[stage.phase.id], self._prepared.setting,
                        updates_per_epoch=stage.updates_per_epoch)  # fmt: skip

    def write_line_ends(self) -> list[Path]:
        """Writes `final.safetensors` and one file per branch with the last weights of each line; deletes others."""
        written = []
        for path in self._lines:
            last = next(phase for phase in reversed(self.plan.phases) if phase.path == path)
            node = last if self._results[last.id].state != "skipped" else self._trained_ancestor(last)
            end = self._folder.latest(self.keys[node.id], "end") if node is not None else None
            if end is not None:
                target = self._folder.branch(path) if path else self._folder.final
                save_weights(target, load_checkpoint(end, ["weights"])["weights"])
                written.append(target)
        for stale in self._folder.line_ends():
            if stale not in written:
                remove(stale)
        return written
