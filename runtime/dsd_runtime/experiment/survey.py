"""Measures what a run needs: layers, threads, seconds for an update and for an evaluation.

Everything is measured on a separate model and task, which are released before training; the run's generators do not
change. Their warnings are ignored, because training repeats them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo
from dsd_lang.plan.enforcing import Enforcing
from dsd_runtime.data.batch import Batch
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.overrides import build_optimizer
from dsd_runtime.engine.quick_step import QuickStep
from dsd_runtime.engine.without_compiler import drop_gradients
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.threads import Threads, choose_threads
from dsd_runtime.training.tasks.choose import task_for

_TIMED_SECONDS = 1.0
_TIMED_UPDATES = 8
_SLOW_SECONDS = 3.0
_LOOK_AT_BATCH = 4


@dataclass(slots=True)
class Probe:
    """A model for measurements; :meth:`used_up` releases it."""

    model: nn.Module | None

    def used_up(self) -> nn.Module:
        """The model, to which no other reference remains."""
        model, self.model = self.model, None
        assert model is not None
        return model


@dataclass(frozen=True, slots=True)
class Survey:
    """The results: the model's layers and size, the number of threads."""

    layers: tuple[LayerInfo, ...]
    num_parameters: int
    bytes_per_checkpoint: int
    threads: Threads
    probe: Probe


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds for one update, and for one evaluated sample."""

    per_update: float
    per_sample: float


def build_probe(prepared: Prepared) -> Probe:
    """Builds the model once for measurements."""
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        return Probe(prepared.build().to(prepared.precision.device))


def survey(prepared: Prepared, probe: Probe, *, earlier_threads: int | None) -> Survey:
    """Examines the model and one batch."""
    model = probe.model
    assert model is not None
    layers = inventory(model)  # first, as it reports lazy modules, which a batch would initialise only here
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        batch = next(iter(_training_batches(prepared)), None)
        if batch is None:
            raise DsdError("the training data gave no batches", help="check that the data has training samples")
        threads = choose_threads(prepared, lambda: _loss(prepared, model, batch), earlier=earlier_threads)
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    num_parameters = sum(value.numel() for value in model.parameters())
    kept = max(Enforcing.of(phase, 1).num_copies for phase in prepared.plan.phases)
    return Survey(layers, num_parameters, (2 + kept) * size, threads, probe)


def measure_speed(prepared: Prepared, probe: Probe) -> Speed:
    """Times updates and an evaluation after a warm-up; the model cannot be used afterwards."""
    model = probe.used_up()
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        per_update = _seconds_per_update(prepared, model)
        return Speed(per_update, _seconds_per_sample(prepared, model))


def _loss(prepared: Prepared, model: nn.Module, batch: Batch) -> torch.Tensor:
    with prepared.precision.autocast():
        return task_for(prepared.data.traits).loss(model, batch.to(prepared.precision.device))


def _training_batches(prepared: Prepared) -> Iterable[Batch]:
    return prepared.data.train_batches(batch_size=prepared.batch_size(prepared.plan.phases[0].batch), epoch=1, key=0)


def _seconds_per_update(prepared: Prepared, model: nn.Module) -> float:
    """The mean over some updates after the first, which allocates and compiles; over the first if it is slow."""
    first = prepared.plan.phases[0]
    assert first.opt is not None  # every preset has one
    optimizer, quick = build_optimizer(model.parameters(), first.opt, rate=1e-6), QuickStep()
    laps = [time.perf_counter()]
    for batch in islice(_training_batches(prepared), 1 + _TIMED_UPDATES):
        model.train()
        drop_gradients(optimizer)
        loss = _loss(prepared, model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if not quick(optimizer):
            optimizer.step()
        float(loss.detach())
        laps.append(time.perf_counter())
        since_first = laps[-1] - laps[1]
        if laps[1] - laps[0] > _SLOW_SECONDS or since_first > _TIMED_SECONDS:
            break
    return (laps[-1] - laps[1]) / (len(laps) - 2) if len(laps) > 2 else laps[1] - laps[0]


def _seconds_per_sample(prepared: Prepared, model: nn.Module) -> float:
    """Measured on a later batch, because the first ones are the shortest in sorted data."""
    split = next((name for name in ("val", "test") if prepared.data.sizes.get(name)), None)
    if split is None:
        return 0.0
    size = prepared.batch_size(prepared.plan.phases[0].batch)
    batches = list(islice(prepared.data.evaluation_batches(split, batch_size=size), _LOOK_AT_BATCH))
    batch = batches[-1].to(prepared.precision.device)
    model.eval()
    with torch.no_grad(), prepared.precision.autocast():
        started = time.perf_counter()
        task_for(prepared.data.traits).evaluate(model, [batch])
    return (time.perf_counter() - started) / max(1, len(batch))
