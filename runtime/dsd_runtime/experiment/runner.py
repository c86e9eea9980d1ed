"""A prepared run in, trained nodes out: the phase tree walked in order, each node trained once.

A node whose finished checkpoint is in the run folder is not trained again. One session goes on from phase to phase
along a line; where a branch starts somewhere else, a new session is loaded from the parent's checkpoint. Both ways give
the same numbers, because a checkpoint holds everything.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from torch import nn

from dsd_lang.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.checkpoint import load_checkpoint, numbered, save_checkpoint, save_weights, write_json
from dsd_runtime.conditions import replayed
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import node_keys
from dsd_runtime.experiment.references import FolderReferences
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.overrides import build_optimizer
from dsd_runtime.randomness import stream_key
from dsd_runtime.references import reference_key
from dsd_runtime.session import Session
from dsd_runtime.tracking.tracker import Place, Tracker
from dsd_runtime.training.loop import DataClock, PhaseRun, Stopped, start_of_phase_clock, train_phase


@dataclass(frozen=True, slots=True)
class NodeResult:
    """One phase after the walk: its state (`trained`, `reused`, `skipped`) and its metrics at the end."""

    phase: Phase
    key: str
    state: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Line:
    """The live session: which line of phases it runs, and the node that its weights are the end of."""

    path: str
    session: Session
    model: nn.Module
    forward: nn.Module
    clock: DataClock
    scaler: torch.amp.GradScaler | None
    at: str | None = None


class Runner:
    """Walks a plan over one run folder."""

    def __init__(
        self, prepared: Prepared, folder: RunFolder, tracker: Tracker, *, should_stop: Callable[[], bool]
    ) -> None:
        self._prepared = prepared
        self._folder = folder
        self._tracker = tracker
        self._should_stop = should_stop
        self.plan: Plan = prepared.plan
        self.keys = node_keys(prepared.plan, prepared.setting)
        self._lines = {path: self.plan.branch(path) for path in dict.fromkeys(phase.path for phase in self.plan.phases)}
        self._line: _Line | None = None
        self._phases = {phase.id: phase for phase in self.plan.phases}
        self._has_loops = any(phase.cycles for phase in self.plan.phases)
        self._results: dict[str, NodeResult] = {}

    def run(self) -> list[NodeResult]:
        """Trains what is not trained yet; returns one result for each phase, in order.

        Raises :class:`~dsd_runtime.training.loop.Stopped` after saving the progress when a stop is asked for.
        """
        for phase in self.plan.phases:
            self._results[phase.id] = self._visit(phase)
        self._write_line_ends()
        return list(self._results.values())

    # --- one node -----------------------------------------------------------------------------------------------------

    def _visit(self, phase: Phase) -> NodeResult:
        key = self.keys[phase.id]
        if self._is_skipped(phase):
            write_json(self._folder.node(key) / "skipped.json", {"phase": phase.id})
            self._tracker.skipped(phase)
            return NodeResult(phase, key, "skipped", self._parent_metrics(phase))
        end = self._folder.latest(key, "end")
        if end is not None and self._has_references(phase):
            metrics = load_checkpoint(end, ["node"])["node"]["metrics"]
            self._tracker.reused(phase, key, metrics)
            return NodeResult(phase, key, "reused", metrics)
        metrics = self._train(phase, key)
        return NodeResult(phase, key, "trained", metrics)

    def _train(self, phase: Phase, key: str) -> dict[str, float]:
        line = self._line_at_start_of(phase)
        run = self._phase_run(phase, key, line)
        progress = self._folder.latest(key, "progress")
        if progress is not None:
            self._load_into(run, progress, line)
            self._tracker.resumed(Place(phase, key, line.session))
        else:
            self._enter(phase, key, run, line)
        started = time.monotonic()
        try:
            metrics = train_phase(run)
        except Stopped:
            self._save(run, key, "progress", {})
            raise
        line.at = phase.id
        self._tracker.finished(Place(phase, key, line.session), metrics, seconds=time.monotonic() - started)
        self._save(run, key, "end", metrics)
        return metrics

    def _enter(self, phase: Phase, key: str, run: PhaseRun, line: _Line) -> None:
        self._seed_dropout(phase, line.session)
        if self._has_loops:
            line.session.replay(self._past(phase))
        before = len(line.session.events)
        self._tracker.before_boundary(Place(phase, key, line.session))
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # they are events, shown by the console
            line.session.enter_next()
        line.clock = start_of_phase_clock(line.session, line.clock)
        line.session.set_data_position(line.clock.epoch, line.clock.batch)
        run.clock = line.clock
        self._tracker.entered(Place(phase, key, line.session), line.session.events[before:])

    def _seed_dropout(self, phase: Phase, session: Session) -> None:
        place = f"{phase.path if phase.rng == 'distinct' else ''}:{session.total_updates}"
        torch.manual_seed(stream_key(self._prepared.seed, phase.seed_index, "dropout", place))

    def _phase_run(self, phase: Phase, key: str, line: _Line) -> PhaseRun:
        prepared = self._prepared
        place = phase.path if phase.rng == "distinct" else ""
        run = PhaseRun(
            session=line.session,
            model=line.model,
            forward=line.forward,
            task=prepared.task,
            data=prepared.data,
            precision=prepared.precision,
            listener=self._tracker.listener(Place(phase, key, line.session)),
            batch_size=prepared.batch_size(phase.batch),
            data_key=stream_key(prepared.seed, phase.seed_index, "data", place),
            clock=line.clock,
            workers=prepared.request.workers,
            scaler=line.scaler,
            should_stop=self._should_stop,
            save_every_seconds=prepared.request.save_every_seconds,
        )
        run.save_progress = lambda: self._save(run, key, "progress", {})
        return run

    # --- lines --------------------------------------------------------------------------------------------------------

    def _line_at_start_of(self, phase: Phase) -> _Line:
        """The live line when it stands at the end of the phase's parent, else one loaded from its checkpoint."""
        parent = self._trained_ancestor(phase)
        line = self._line
        goes_on = line is not None and line.at == (parent.id if parent else None)
        if line is None or not goes_on or line.path != phase.path:
            line = self._new_line(phase.path, parent)
        self._line = line
        return line

    def _new_line(self, path: str, parent: Phase | None) -> _Line:
        prepared, plan = self._prepared, self._lines[path]
        first = plan.phases[0]
        if self._line is None:
            model = self._initial_model(first.seed_index).to(prepared.precision.device)
        else:
            model = self._line.model
            if parent is None:
                model.load_state_dict(self._initial_model(first.seed_index).state_dict())
        forward = self._line.forward if self._line is not None else self._compiled(model)
        self._line = None
        if first.opt is None:
            raise DsdError("no optimizer is named", help="write `set opt=sgd(momentum=0.9)`")
        optimizer = build_optimizer(model.parameters(), first.opt, rate=float(prepared.preset.lr))
        session = Session(
            plan,
            model,
            optimizer,
            steps_per_epoch=lambda phase: prepared.updates_per_epoch(phase.batch),
            seed=prepared.seed,
            factory=prepared.build,
            references=self._references(first.seed_index),
            best_metric=prepared.best_metric,
            percent_metrics=prepared.percent_metrics,
            enters_by_itself=False,
        )
        line = _Line(path, session, model, forward, DataClock(), prepared.precision.scaler())
        if parent is not None:
            end = self._folder.latest(self.keys[parent.id], "end")
            assert end is not None
            self._restore(load_checkpoint(end), line)
            line.at = parent.id
        return line

    def _compiled(self, model: nn.Module) -> nn.Module:
        return cast(nn.Module, torch.compile(model)) if self._prepared.request.is_compiled else model

    def _trained_ancestor(self, phase: Phase) -> Phase | None:
        """The nearest phase above that was not skipped."""
        parent = phase.parent
        while parent is not None and self._results[parent].state == "skipped":
            parent = self._phases[parent].parent
        return self._phases[parent] if parent is not None else None

    def _is_skipped(self, phase: Phase) -> bool:
        """Whether a loop that this phase belongs to had ended before it."""
        if not phase.cycles:
            return False
        _, ended = replayed(self._past(phase), self._prepared.percent_metrics, closes_last=True)
        return any(cycle.loop in ended for cycle in phase.cycles)

    def _past(self, phase: Phase) -> list[tuple[Phase, dict[str, float]]]:
        """The phases above this one and their last metrics."""
        results = [self._results[member.id] for member in self.plan.line(phase.id)[:-1]]
        return [(result.phase, result.metrics) for result in results]

    def _has_references(self, phase: Phase) -> bool:
        """Whether a trained node has every snapshot that the plan now asks of it; one added later was never taken."""
        points = [point for point in self.plan.checkpoints if point.phase == phase.id]
        references = self._references(phase.seed_index)
        return all(references.has(reference_key(point)) for point in points)

    def _references(self, seed_index: int) -> FolderReferences:
        return FolderReferences(self._folder, self.keys, lambda: self._initial_model(seed_index).state_dict())

    def _initial_model(self, seed_index: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_key(self._prepared.seed, seed_index, "init"))
            return self._prepared.build()

    def _parent_metrics(self, phase: Phase) -> dict[str, float]:
        return self._results[phase.parent].metrics if phase.parent is not None else {}

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self, run: PhaseRun, key: str, kind: str, metrics: Mapping[str, float]) -> None:
        node = self._folder.node(key)
        session = run.session
        target = node / f"{kind}-{session.phase.step:010d}"
        parts: dict[str, Any] = {
            "weights": run.model.state_dict(),
            "session": session.state_dict(),
            "loop": {
                "clock": asdict(run.clock),
                "scaler": run.scaler.state_dict() if run.scaler is not None else None,
                "pass_loss": run.pass_loss,
                "pass_updates": run.pass_updates,
            },
            "node": {"phase": session.stage.phase.id, "metrics": dict(metrics)},
        }
        save_checkpoint(target, parts)
        for path in numbered(node, "progress"):
            if path != target:
                shutil.rmtree(path)
        self._tracker.saved(target)

    def _load_into(self, run: PhaseRun, checkpoint: Any, line: _Line) -> None:
        parts = load_checkpoint(checkpoint)
        self._restore(parts, line)
        run.clock = line.clock
        run.pass_loss, run.pass_updates = float(parts["loop"]["pass_loss"]), int(parts["loop"]["pass_updates"])

    def _restore(self, parts: Mapping[str, Any], line: _Line) -> None:
        line.model.load_state_dict(parts["weights"])
        line.session.load_state_dict(parts["session"])
        line.clock = DataClock(**parts["loop"]["clock"])
        if line.scaler is not None and parts["loop"]["scaler"] is not None:
            line.scaler.load_state_dict(parts["loop"]["scaler"])

    def _write_line_ends(self) -> None:
        """`final.safetensors` and one file for each branch: the last weights of each line."""
        for path in self._lines:
            last = next(phase for phase in reversed(self.plan.phases) if phase.path == path)
            node = last if self._results[last.id].state != "skipped" else self._trained_ancestor(last)
            target = self._folder.branch(path) if path else self._folder.final
            end = self._folder.latest(self.keys[node.id], "end") if node is not None else None
            if end is not None:
                save_weights(target, load_checkpoint(end, ["weights"])["weights"])
