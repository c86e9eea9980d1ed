"""Trains one phase of a schedule through the session, and evaluates it.

This is the loop that a user would write. It ends when the phase is over, when a signal requests a stop at the next
update, or with an error. After each pass over the data, and at the end of the phase, it evaluates and reports; `until`
is decided there, and listeners of the session's reports get the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count as count_from_zero
from typing import Protocol

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import RELU_ENTROPY
from dsd_lang.base.units import exact
from dsd_lang.plan import Phase
from dsd_runtime.data.batch import Batch
from dsd_runtime.data.dataset_samples import untouched_generators
from dsd_runtime.data.draws import derived_seed
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.calibration import calibrate
from dsd_runtime.engine.references import ClockReading
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.without_compiler import drop_gradients
from dsd_runtime.training.precision import Precision
from dsd_runtime.training.relu_entropy import LayerEntropy, ReluEntropy
from dsd_runtime.training.sharing import Alone
from dsd_runtime.training.tasks.task import Task

_READ_LOSS_EVERY_UPDATES = 10


class Stopped(Exception):
    """A signal requested a stop; the session is between two updates."""


class Listener(Protocol):
    """Receives the events of the loop."""

    def advanced(self, *, update: int) -> None:
        """The update with that number was applied; its loss has not been read yet."""

    def evaluating(self) -> None:
        """An evaluation begins."""

    def updated(self, *, update: int, loss: float, rate: float, samples: int) -> None:
        """Updates were applied: number and rate of the last one; mean loss and samples since the last call."""


@dataclass(frozen=True, slots=True)
class TrainingBatches:
    """A data source as a loader for a session: its order is a function of ``key`` and the number of the pass."""

    data: DataSource
    batch_size: int
    key: int
    workers: int = 0

    def read_pass(self, epoch: int, *, skip: int) -> Iterator[Batch]:
        """The batches of a pass from batch ``skip`` on."""
        return self.data.train_batches(
            batch_size=self.batch_size, epoch=epoch, key=self.key, skip=skip, workers=self.workers
        )


@dataclass(slots=True)
class PhaseRun:
    """The inputs for training one phase, and the losses of the current pass.

    ``forward`` is the model or its compiled form; both share their parameters. With ``keep_entropies`` each evaluation
    measures `entropy.relu` too, and gives it the entropies by layer.
    """

    session: Session
    model: nn.Module
    forward: nn.Module
    task: Task
    batches: TrainingBatches
    precision: Precision
    listener: Listener
    scaler: torch.amp.GradScaler | None = None
    should_stop: Callable[[], bool] = lambda: False
    save_progress: Callable[[], None] = lambda: None
    save_every_seconds: float = 60.0
    keep_entropies: Callable[[Mapping[str, LayerEntropy]], None] | None = None
    sharing: Alone = field(default_factory=Alone)
    pass_loss: float = 0.0
    pass_updates: int = 0
    seconds_before: float = 0.0
    started: float | None = None

    @property
    def seconds(self) -> float:
        """How long the phase has trained, in all sittings (``seconds_before`` are those of earlier ones)."""
        return self.seconds_before + (0.0 if self.started is None else time.monotonic() - self.started)


def start_of_phase(phase: Phase, position: tuple[int, int], reading: ClockReading | None) -> tuple[int, int]:
    """The position in the data where a phase begins: a new pass, the end of the last phase, or that of its clock."""
    is_inside = phase.clock.kind == "block" and phase.clock.start is not None and exact(phase.clock.start.value) > 0
    if phase.clock.kind == "global" or is_inside:
        return position
    if reading is not None:
        return reading.data_epoch, reading.data_batch
    epoch, batch = position
    return (epoch + 1, 0) if batch else (epoch, 0)


def train_phase(run: PhaseRun) -> dict[str, float]:
    """Trains from the session's position to the end of its phase; returns the metrics measured at the end.

    Raises :class:`Stopped` between two updates if ``should_stop`` returns true, and :class:`DsdError` for a loss that
    is NaN or infinite.
    """
    session = run.session
    last_save = run.started = time.monotonic()
    while True:
        if not session.is_phase_over:
            _train_pass(run)
            if not run.pass_updates:  # the phase began at the end of a pass
                continue
        metrics = _evaluate_and_report(run)
        if session.is_phase_over:
            return metrics
        if run.sharing.decided(time.monotonic() - last_save > run.save_every_seconds):
            run.save_progress()
            last_save = time.monotonic()


def _evaluate_and_report(run: PhaseRun) -> dict[str, float]:
    """Evaluates after a pass; at the end of the phase (by length or by `until`) also on the test split."""
    session, splits = run.session, ("val", "test")
    run.listener.evaluating()
    _calibrate(run)
    metrics = evaluate_splits(run, splits if session.is_phase_over else splits[:1])
    was_over = session.is_phase_over
    session.report(metrics)
    if session.is_phase_over and not was_over:
        at_end = _measure(run, splits[1:])
        if at_end:
            session.report(at_end)
        metrics |= at_end
    run.pass_loss, run.pass_updates = 0.0, 0
    return metrics


def _train_pass(run: PhaseRun) -> None:
    """Trains the rest of a pass over the data, or of the phase, in training mode."""
    session = run.session
    run.model.train()
    window = torch.zeros((), dtype=torch.float64, device=run.precision.device)
    updates, samples, rate = 0, 0, 0.0
    for batch in session.batches(run.batches):
        phase = session.phase
        rate = phase.lr
        loss = _update(run, batch.to(run.precision.device))
        if loss is not None:
            window += loss  # in float64
            updates, samples = updates + 1, samples + run.sharing.samples(batch)
        update = phase.step + (loss is not None)
        run.listener.advanced(update=update)
        is_stopping = session.is_phase_over or run.sharing.stops(run.should_stop, update=update)
        if updates and (updates == _READ_LOSS_EVERY_UPDATES or is_stopping):
            _read_losses(run, window, updates, samples, rate)
            updates, samples = 0, 0
        if session.is_phase_over:
            return
        if is_stopping:
            raise Stopped
    if updates:
        _read_losses(run, window, updates, samples, rate)


def _update(run: PhaseRun, batch: Batch) -> Tensor | None:
    """One update; returns its loss without reading it, or None if the gradient scaler skipped it."""
    drop_gradients(run.session.optimizer)
    with run.precision.autocast():
        loss = _loss(run, batch)
    loss = run.sharing.weighted(loss, batch)
    if run.scaler is not None:
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    else:
        loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach() if run.session.step(scaler=run.scaler) else None


def _loss(run: PhaseRun, batch: Batch) -> Tensor:
    """The task's loss, mixed with the divergence from the phase's teacher if it has one."""
    teacher = run.session.teacher
    if teacher is None:
        return run.task.loss(run.forward, batch)
    loss, rows = run.task.loss_and_rows(run.forward, batch)
    with torch.no_grad():
        of_teacher = run.task.rows(teacher.model, batch)
    return run.session.mix_with_teacher(loss, rows, of_teacher, samples=len(batch))


def _read_losses(run: PhaseRun, window: Tensor, updates: int, samples: int, rate: float) -> None:
    """Reads the sum of the losses of some updates and resets it; a loss that is not finite ends the run."""
    total = run.sharing.mean(window)
    window.zero_()
    update = run.session.phase.step
    if not math.isfinite(total):
        weight = run.session.broken_weight()
        raise DsdError(
            f"the loss is {'nan' if math.isnan(total) else 'infinite'} within the last {updates} updates before "
            f"update {update} of phase `{run.session.phase.label or run.session.phase.id}` (learning rate {rate:g})"
            + (f", and `{weight}` is not finite any more" if weight else ""),
            help="lower the learning rate, set `clip=`, or look at the data",
        )
    run.pass_loss += total
    run.pass_updates += updates
    run.listener.updated(update=update, loss=total / updates, rate=rate, samples=samples)


def evaluate_splits(run: PhaseRun, splits: tuple[str, ...]) -> dict[str, float]:
    """The task's metrics on each split of the data, prefixed by the split; `train.loss` of the pass; `sparsity`."""
    metrics: dict[str, float] = {"sparsity": run.session.sparsity()["total"]}
    if run.pass_updates:
        metrics["train.loss"] = run.pass_loss / run.pass_updates
    return metrics | _measure(run, splits)


def _measure(run: PhaseRun, splits: tuple[str, ...]) -> dict[str, float]:
    """The task's metrics on each existing split; the model is left in evaluation mode.

    Raises :class:`DsdError` for a loss that is not finite.
    """
    metrics = run.sharing.evaluated(lambda: _measured(run, splits))
    for name, value in metrics.items():
        if name.endswith(".loss") and not math.isfinite(value):
            raise DsdError(
                f"`{name}` is {'nan' if math.isnan(value) else 'infinite'} {run.session.where}",
                help="lower the learning rate, set `clip=`, or look at the data",
            )
    return metrics


def _measured(run: PhaseRun, splits: tuple[str, ...]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    data = run.batches.data
    run.model.eval()
    with torch.no_grad(), run.precision.autocast():
        for split in splits:
            if not data.sizes.get(split):
                continue
            batches = data.evaluation_batches(split, batch_size=run.batches.batch_size, workers=run.batches.workers)
            on_device = (batch.to(run.precision.device) for batch in batches)
            with ReluEntropy(run.model) if _wants_entropy(run, split) else nullcontext() as entropy:
                found = run.task.evaluate(run.model, on_device)
            metrics |= {f"{split}.{name}": value for name, value in found.items()}
            if entropy is not None and run.keep_entropies is not None:
                metrics[RELU_ENTROPY] = entropy.mean()
                run.keep_entropies(entropy.layers())
    return metrics


def _wants_entropy(run: PhaseRun, split: str) -> bool:
    return run.keep_entropies is not None and split == "val"


def _calibrate(run: PhaseRun) -> None:
    """Refreshes the batch-norm statistics as `calibrate=` says, always with the same training batches."""
    device = run.precision.device
    with untouched_generators(), run.precision.autocast():
        calibrate(
            run.model,
            run.session.stage,
            _calibrating_batches(run),
            lambda batch: run.task.rows(run.model, batch.to(device)),
            kept=run.session.kept_norms,
        )


def _calibrating_batches(run: PhaseRun) -> Iterator[Batch]:
    """Whole training batches of their own order, pass after pass."""
    own = run.batches
    batches = TrainingBatches(own.data, own.batch_size, derived_seed(own.key, "calibrate"), own.workers)
    for epoch in count_from_zero():
        yield from batches.read_pass(epoch, skip=0)
