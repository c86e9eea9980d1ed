"""One phase of a schedule trained: batches in, updates through the session, metrics out.

The loop stops in three ways: the phase is over, a signal asks for a stop at the next update, or an error. After each
pass over the data, and at the end of the phase, it evaluates and reports; `until` is decided there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.data.batch import Batch
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.references import ClockReading
from dsd_runtime.engine.session import Session
from dsd_runtime.training.precision import Precision
from dsd_runtime.training.tasks.task import Task

_READ_LOSS_EVERY_UPDATES = 10


class Stopped(Exception):
    """A signal asked for a stop; the session stands between two updates."""


@dataclass(slots=True)
class DataClock:
    """The next batch to draw: which pass over the data, which batch in it."""

    epoch: int = 0
    batch: int = 0


class Listener(Protocol):
    """Who is told what the loop does."""

    def advanced(self, *, update: int) -> None:
        """The update of that number was applied; its loss has not been read yet."""

    def evaluating(self) -> None:
        """An evaluation begins."""

    def updated(self, *, update: int, loss: float, rate: float, samples: int) -> None:
        """Updates were applied: the last one's number and rate, the mean loss and the samples since the last call."""

    def evaluated(self, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        """Metrics were measured, with their split in front (`val.loss`); ``epoch`` counts passes within the phase."""


@dataclass(slots=True)
class PhaseRun:
    """What the loop needs to train one phase, and where it stands.

    ``forward`` is the model itself or its compiled form; both share their parameters.
    """

    session: Session
    model: nn.Module
    forward: nn.Module
    task: Task
    data: DataSource
    precision: Precision
    listener: Listener
    batch_size: int
    data_key: int
    clock: DataClock = field(default_factory=DataClock)
    workers: int = 0
    scaler: torch.amp.GradScaler | None = None
    should_stop: Callable[[], bool] = lambda: False
    save_progress: Callable[[], None] = lambda: None
    save_every_seconds: float = 60.0
    pass_loss: float = 0.0
    pass_updates: int = 0


def start_of_phase_clock(phase: Phase, clock: DataClock, reading: ClockReading | None) -> DataClock:
    """Where a phase begins in the data: a new pass, where the last phase ended, or the moment its clock refers to."""
    if phase.clock.kind == "global":
        return DataClock(clock.epoch, clock.batch)
    if reading is not None:
        return DataClock(reading.data_epoch, reading.data_batch)
    return DataClock(clock.epoch + 1, 0) if clock.batch else DataClock(clock.epoch, 0)


def train_phase(run: PhaseRun) -> dict[str, float]:
    """Trains from where the session stands to the end of its phase; returns the metrics measured at the end.

    Raises :class:`Stopped` between two updates when ``should_stop`` says so, and :class:`DsdError` for a loss that is
    NaN or infinite.
    """
    session = run.session
    last_save = time.monotonic()
    while True:
        _train_pass(run)
        is_over = session.is_phase_over
        run.listener.evaluating()
        metrics = evaluate(run, ("val", "test") if is_over else ("val",))
        session.report(metrics)
        if session.is_phase_over and not is_over:
            metrics |= evaluate(run, ("test",))
        run.listener.evaluated(
            metrics, epoch=session.phase.step / session.stage.updates_per_epoch, update=session.phase.step
        )
        run.pass_loss, run.pass_updates = 0.0, 0
        if session.is_phase_over:
            return metrics
        if time.monotonic() - last_save > run.save_every_seconds:
            run.save_progress()
            last_save = time.monotonic()


def _train_pass(run: PhaseRun) -> None:
    """The rest of a pass over the data, or of the phase."""
    session, clock = run.session, run.clock
    if session.is_phase_over:
        return
    if clock.batch >= run.data.updates_per_epoch(run.batch_size):
        is_whole = run.pass_updates > 0
        _begin_pass(run)
        if is_whole:  # it was stopped after its last batch: what is left of it is to evaluate
            return
    run.model.train()
    window = torch.zeros((), dtype=torch.float64, device=run.precision.device)
    updates, samples, rate = 0, 0, 0.0
    for batch in run.data.train_batches(
        batch_size=run.batch_size, epoch=clock.epoch, key=run.data_key, skip=clock.batch, workers=run.workers
    ):
        session.begin_step()
        rate = session.phase.lr
        clock.batch += 1
        session.set_data_position(clock.epoch, clock.batch)
        window += _update(run, batch.to(run.precision.device)).double()
        updates, samples = updates + 1, samples + len(batch)
        run.listener.advanced(update=session.phase.step)
        is_stopping = session.is_phase_over or run.should_stop()
        if updates == _READ_LOSS_EVERY_UPDATES or is_stopping:
            _read_losses(run, window, updates, samples, rate)
            updates, samples = 0, 0
        if session.is_phase_over:
            return
        if is_stopping:
            raise Stopped
    if not clock.batch:
        raise DsdError("a pass over the training data gave no batch", help="is there anything to train on?")
    if updates:
        _read_losses(run, window, updates, samples, rate)
    _begin_pass(run)


def _begin_pass(run: PhaseRun) -> None:
    run.clock.epoch, run.clock.batch = run.clock.epoch + 1, 0
    run.session.set_data_position(run.clock.epoch, run.clock.batch)


def _update(run: PhaseRun, batch: Batch) -> Tensor:
    """One update; returns its loss without reading it."""
    run.session.optimizer.zero_grad(set_to_none=True)
    with run.precision.autocast():
        loss = run.task.loss(run.forward, batch)
    if run.scaler is not None:
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    else:
        loss.backward()  # type: ignore[no-untyped-call]
    run.session.step(scaler=run.scaler)
    return loss.detach()


def _read_losses(run: PhaseRun, window: Tensor, updates: int, samples: int, rate: float) -> None:
    """Reads the summed losses of some updates and clears the sum; a loss that is not finite ends the run."""
    total = float(window)
    window.zero_()
    update = run.session.phase.step
    if not math.isfinite(total):
        raise DsdError(
            f"the loss is {'nan' if math.isnan(total) else 'infinite'} within the last {updates} updates before "
            f"update {update} of phase `{run.session.phase.label or run.session.phase.id}` (learning rate {rate:g})",
            help="lower the learning rate, set `clip=`, or look at the data",
        )
    run.pass_loss += total
    run.pass_updates += updates
    run.listener.updated(update=update, loss=total / updates, rate=rate, samples=samples)


def evaluate(run: PhaseRun, splits: tuple[str, ...]) -> dict[str, float]:
    """The task's metrics on each split of the data, with the split in front; the pass's `train.loss`, `sparsity`."""
    metrics: dict[str, float] = {"sparsity": run.session.sparsity()["total"]}
    if run.pass_updates:
        metrics["train.loss"] = run.pass_loss / run.pass_updates
    was_training = run.model.training
    run.model.eval()
    try:
        with torch.no_grad(), run.precision.autocast():
            for split in splits:
                if not run.data.sizes.get(split):
                    continue
                batches = run.data.evaluation_batches(split, batch_size=run.batch_size, workers=run.workers)
                on_device = (batch.to(run.precision.device) for batch in batches)
                found = run.task.evaluate(run.model, on_device)
                metrics |= {f"{split}.{name}": value for name, value in found.items()}
    finally:
        run.model.train(was_training)
    return metrics
