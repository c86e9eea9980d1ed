"""Trains single nodes of a run's tree in this process, each under its lease, into an attempt of its own.

One session continues from phase to phase along a line. If a node starts elsewhere, a new session is loaded from the
parent's checkpoint. Both ways give the same results, because a checkpoint is complete.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from dsd_lang.base.metrics import RELU_ENTROPY
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.generators import seed_generators
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.engine.references import ClockReading, ReferenceStore, put_buffers, reference_key, unsaved_buffers
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.attempts import attempted, finish_publishing, is_lost, publish_attempt
from dsd_runtime.experiment.leases import Lease
from dsd_runtime.experiment.line import ReportRelay, TrainedLine, attached, load_weights
from dsd_runtime.experiment.longer import OpenKeys, Shorter, take_over_records
from dsd_runtime.experiment.node_checks import NodeChecks
from dsd_runtime.experiment.noted_failures import note_failure, noted_failure
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.references import FolderReferences
from dsd_runtime.experiment.together import SharedReferences, Together, wrapped
from dsd_runtime.experiment.torchrun import Group
from dsd_runtime.masks.shards import mesh_of
from dsd_runtime.storage.durable import numbered, remove, write_json
from dsd_runtime.tracking.tracker import NodeInTraining, Tracker
from dsd_runtime.training.loop import (
    PhaseRun,
    Stopped,
    TrainingBatches,
    evaluate_splits,
    start_of_phase,
    train_phase,
)
from dsd_runtime.training.parts import parts_of
from dsd_runtime.training.relu_entropy import LayerEntropy
from dsd_runtime.training.score_batches import give_scores


class NodeTrainer:
    """Trains nodes in this process, one after another; the live line goes on where the next node is its next phase."""

    def __init__(
        self,
        run: OpenRun,
        tracker: Tracker,
        *,
        should_stop: Callable[[], bool],
        shorter: Mapping[str, Shorter],
        group: Group | None = None,
    ) -> None:
        """``group``: the processes that train each node together; the first one's trainer orders, and writes."""
        self._group = group
        self.plan: Plan = run.prepared.plan
        self._prepared, self._folder, self._keys, self._history = run.prepared, run.folder, run.keys, run.history
        self._tracker, self._should_stop, self._shorter = tracker, should_stop, shorter
        self._checks = NodeChecks(run.prepared, run.keys, run.folder)
        self._plans: dict[str, Plan] = {}
        self._lines = self.plan.lines()
        self._line: TrainedLine | None = None
        self._phases = {phase.id: phase for phase in self.plan.phases}
        self._has_loops = any(phase.cycles for phase in self.plan.phases)
        self._leases: dict[str, Lease] = {}
        self._open_keys = OpenKeys(self.plan, run.prepared.setting, run.keys)

    def train(self, phase: Phase) -> dict[str, float] | None:
        """The last metrics of a node that is trained now, or was meanwhile by another process.

        None if another process trains it. Raises the failure of one that could not train it, and
        :class:`~dsd_runtime.training.loop.Stopped` after saving the progress if a stop is requested.
        """
        key = self._keys[phase.id]
        lease = self._leases.setdefault(key, Lease(self._folder.lease(key)))
        if not lease.take():
            return None
        try:
            finish_publishing(self._folder, key)
            if self._checks.finished(phase) is not None:
                metrics = self._history.read_metrics(phase)
                return metrics if not self.lacks_entropy(metrics) else self._measure_entropy(phase, key, metrics)
            if (failure := noted_failure(self._folder, key)) is not None:
                raise failure
            with attempted(self._folder, key):
                return self._train_unless_lost(phase, key, lease)
        except BaseException as error:
            self._line = None  # the model is somewhere within a phase
            if isinstance(error, Exception) and not isinstance(error, Stopped) and self._group is None:
                note_failure(self._prepared, self._folder, key, error)
            raise
        finally:
            lease.give_back()
            del self._leases[key]

    def _train_unless_lost(self, phase: Phase, key: str, lease: Lease) -> dict[str, float] | None:
        """None if another process goes on with the attempt: this one stood still for longer than a lease."""
        start = self._start(phase, key)
        if self._group is not None:
            self._group.told({"train": phase.id, "start": start and [str(start[0]), start[1]]})
        try:
            return self._train(phase, key, start, lease)
        except Exception:
            if self._group is not None or not is_lost(self._folder, key):
                raise
            self._line = None
            return None

    def follow(self, order: Mapping[str, Any]) -> None:
        """Takes part in what the first process of the group does, as it has ordered."""
        phase = self._phases[order.get("train") or order["measure"]]
        key, start = self._keys[phase.id], order.get("start")
        try:
            if "measure" in order:
                self._measure_entropy(phase, key, {})
            else:
                self._train(phase, key, start and (Path(start[0]), bool(start[1])), None)
        except BaseException:
            self._line = None  # as in the first process
            raise

    def lacks_entropy(self, metrics: Mapping[str, float]) -> bool:
        """Whether a node was trained before the schedule read `entropy.relu`."""
        return self._prepared.measures_entropy and RELU_ENTROPY not in metrics

    def _train(
        self, phase: Phase, key: str, start: tuple[Path, bool] | None, lease: Lease | None
    ) -> dict[str, float] | None:
        is_trained_again = self._folder.latest(key, "end") is not None
        line = self._line_at_start_of(phase)
        run = self._phase_run(phase, key, line)
        run.should_stop = lambda: self._should_stop() or (lease is not None and lease.is_lost)
        here = NodeInTraining(phase, key, line.session)
        if start is not None:
            self._resume(key, start, run, line)
            self._tracker.resumed(here)
        else:
            self._enter(phase, key, line)
        try:
            metrics = train_phase(run)
        except Stopped:
            if run.sharing.decided(lease is not None and lease.is_lost):
                self._line = None
                return None
            self._save(line, run, key, "progress", {})
            raise
        line.at = phase.id
        self._tracker.finished(here, metrics, seconds=run.seconds)
        self._write(line, run, key, "end", metrics)
        is_published = lease is not None and publish_attempt(self._folder, key, replaces=is_trained_again)
        if not run.sharing.decided(is_published):
            self._line = None
            return None
        end = self._folder.latest(key, "end")
        assert end is not None
        self._tracker.saved(end)
        return metrics

    def _measure_entropy(self, phase: Phase, key: str, metrics: Mapping[str, float]) -> dict[str, float]:
        """Measures it now, and adds it to the finished node."""
        if self._group is not None and self._group.is_first:
            self._group.told({"measure": phase.id})
        line = self._line = self._new_line(phase.path, phase)
        run = self._phase_run(phase, key, line)
        measured = {RELU_ENTROPY: evaluate_splits(run, ("val",))[RELU_ENTROPY]}
        line.reports(measured)
        found = {**metrics, **measured}
        self._save(line, run, key, "end", found)
        return found

    def _start(self, phase: Phase, key: str) -> tuple[Path, bool] | None:
        """The checkpoint that a node goes on from, and whether it is the end of a shorter form of it.

        It is the node's progress, if there is some and it has every snapshot that was due.
        """
        progress = self._checks.resumable(phase)
        if progress is not None:
            return progress, False
        if key in self._shorter and self._checks.has_saved(key, self._shorter[key].checkpoint):
            return self._shorter[key].checkpoint, True
        return None

    def _resume(self, key: str, start: tuple[Path, bool], run: PhaseRun, line: TrainedLine) -> None:
        """Goes on from a checkpoint inside the node."""
        checkpoint, is_longer = start
        loop = line.load(checkpoint, is_longer=is_longer)
        if is_longer:
            run.sharing.written(lambda: take_over_records(self._folder, self._shorter[key], key))
        with reading_state():
            run.pass_loss, run.pass_updates = float(loop["pass_loss"]), int(loop["pass_updates"])
            run.seconds_before = float(loop.get("seconds", 0.0))  # checkpoints of version 0.1 do not have it

    def _enter(self, phase: Phase, key: str, line: TrainedLine) -> None:
        session = line.session
        self._seed_generators(phase, session)
        if self._has_loops:
            session.replay(self._history.past(phase))
        before = len(session.events)
        self._tracker.before_boundary(NodeInTraining(phase, key, session))
        session.set_data_position(*start_of_phase(phase, session.data_position, self._clock_reading(phase, line)))
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # they are events, which the console shows
            session.enter_next()
        self._tracker.entered(NodeInTraining(phase, key, session), session.events[before:])

    def _clock_reading(self, phase: Phase, line: TrainedLine) -> ClockReading | None:
        reference = phase.clock.reference
        store = self._references(phase.seed_index, line.model)
        return store.load(reference_key(reference)).reading if reference else None

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
            task=line.task,
            batches=TrainingBatches(
                prepared.training_data(phase.seed_index),
                prepared.batch_size(phase.batch),
                stream_key(prepared.seed, phase.seed_index, "data", position),
                prepared.request.workers,
            ),
            precision=prepared.precision,
            listener=self._tracker.listener(here),
            scaler=line.scaler,
            save_every_seconds=prepared.request.save_every_seconds,
        )
        if self._group is not None:
            run.sharing, run.batches = (
                Together(self._group),
                parts_of(run.batches, self._group.share()),
            )
        if prepared.measures_entropy:
            is_writing = self._group is None or self._group.is_first
            run.keep_entropies = partial(self._write_entropies, key) if is_writing else lambda layers: None
        give_scores(run, prepared.task)
        run.save_progress = lambda: self._save(line, run, key, "progress", {})
        return run

    # --- lines --------------------------------------------------------------------------------------------------------

    def _line_at_start_of(self, phase: Phase) -> TrainedLine:
        """The live line if it is at the end of the phase's parent, else one loaded from its checkpoint."""
        parent = self._history.trained_ancestor(phase)
        line = self._line
        goes_on = line is not None and line.at == (parent.id if parent else None)
        if line is None or not goes_on or line.path != phase.path:
            line = self._new_line(phase.path, parent)
        self._line = line
        return line

    def _new_line(self, path: str, parent: Phase | None) -> TrainedLine:
        prepared, plan = self._prepared, self._plan_of(path)
        first = plan.phases[0]
        if self._line is None:
            model = self._initial_model(first.seed_index).to(prepared.precision.device)
        else:
            self._line.session.release()
            model = self._line.model
            if parent is None:
                initial = self._initial_model(first.seed_index)
                load_weights(model, initial.state_dict())
                put_buffers(model, unsaved_buffers(initial))
        forward = self._line.forward if self._line is not None else self._compiled(model)
        task = prepared.task if self._line is None else self._line.task
        if self._group is not None and self._line is None:
            forward, task = wrapped(model, forward, task, self._group)
        self._line = None
        reports = ReportRelay()
        references = self._references(first.seed_index, model)
        shared = None if self._group is None else forward
        session = attached(prepared, plan, model, factory=prepared.build, references=references, on_report=reports,
                           wrapped=shared)  # fmt: skip
        line = TrainedLine(path, session, model, forward, task, prepared.precision.scaler(), reports)
        if parent is not None:
            end = self._folder.latest(self._keys[parent.id], "end")
            assert end is not None
            line.load(end)
            line.at = parent.id
        return line

    def _plan_of(self, path: str) -> Plan:
        if path not in self._plans:
            self._plans[path] = self.plan.branch(path, self._lines)
        return self._plans[path]

    def _compiled(self, model: nn.Module) -> nn.Module:
        return cast(nn.Module, torch.compile(model)) if self._prepared.request.is_compiled else model

    def _references(self, seed_index: int, model: nn.Module) -> ReferenceStore:
        mesh = mesh_of(model.parameters())
        initial = partial(self._initial_weights, seed_index)
        own = FolderReferences(self._folder, self._keys, initial, mesh=mesh)
        return own if self._group is None else SharedReferences(own, self._group)

    def _initial_weights(self, seed_index: int) -> Mapping[str, Tensor]:
        return self._initial_model(seed_index).state_dict()

    def _initial_model(self, seed_index: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_key(self._prepared.seed, seed_index, "init"))
            return self._prepared.build()

    # --- files --------------------------------------------------------------------------------------------------------

    def _save(self, line: TrainedLine, run: PhaseRun, key: str, kind: str, metrics: Mapping[str, float]) -> None:
        self._tracker.saved(self._write(line, run, key, kind, metrics))

    def _write(self, line: TrainedLine, run: PhaseRun, key: str, kind: str, metrics: Mapping[str, float]) -> Path:
        """Writes a checkpoint of the node, in place of the progress before it."""
        line.session.require_finite()
        folder = self._folder.work(key)
        target = folder / f"{kind}-{line.session.phase.step:010d}"
        is_end, is_published_next = kind == "end", kind == "end" and key in self._folder.own
        open_key = self._open_key(line) if is_end else None
        line.save(target, run, metrics, open_key=open_key, is_flushed=not is_published_next)
        if self._group is None or self._group.is_first:
            for path in numbered(folder, "progress"):
                if path != target:
                    remove(path)
        return target

    def _write_entropies(self, key: str, layers: Mapping[str, LayerEntropy]) -> None:
        data = {name: layer._asdict() for name, layer in layers.items()}
        write_json(self._folder.entropies(key), {"layers": data})

    def _open_key(self, line: TrainedLine) -> str | None:
        stage = line.session.stage
        phase = self._phases[stage.phase.id]
        return self._open_keys.of(phase, updates_per_epoch=stage.updates_per_epoch)
