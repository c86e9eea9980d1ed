"""What a run is going to do, before it does it: resolved phases, layers matched, the time and the disk it takes."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.views.table import aligned, layers_text, rate_text, target_text
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.overrides import build_optimizer
from dsd_runtime.engine.selection_plan import select_weights
from dsd_runtime.engine.stages import Timeline, build_timeline
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.tracking.console import format_seconds, phase_name


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


@dataclass(frozen=True, slots=True)
class RunCost:
    """What is left to train, and what one update and one checkpoint cost."""

    updates_left: int
    seconds_per_update: float
    bytes_per_checkpoint: int
    checkpoints_left: int

    def __str__(self) -> str:
        disk = self.bytes_per_checkpoint * self.checkpoints_left / 1e9
        return (
            f"{self.updates_left} updates to train at about {self.seconds_per_update:.3g} s each: "
            f"about {format_seconds(self.updates_left * self.seconds_per_update)}, {disk:.2g} GB of checkpoints"
        )


def timelines(prepared: Prepared) -> dict[str, Timeline]:
    """The timeline of each line of the plan by its path."""
    plan = prepared.plan
    paths = dict.fromkeys(phase.path for phase in plan.phases)
    return {
        path: build_timeline(plan.branch(path), lambda phase: prepared.updates_per_epoch(phase.batch)) for path in paths
    }


def phase_rows(prepared: Prepared, model: nn.Module, folder: RunFolder, keys: dict[str, str]) -> list[PhaseRow]:
    """The table of a run; raises :class:`DsdError` for a selector that matches nothing in the model."""
    layers = inventory(model)
    lengths = {stage.phase.id: stage.length for line in timelines(prepared).values() for stage in line.stages}
    sizes = {weight.name: weight.size for layer in layers for weight in layer.weights}
    rows = []
    for index, phase in enumerate(prepared.plan.phases):
        matched, key = "-", keys[phase.id]
        state = folder.state(key) if prepared.request.mode != "fresh" else "to train"
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
                _updates_left(state, lengths[phase.id], folder.progress_updates(key)),
                rate_text(phase.lr),
                state,
            )
        )
    return rows


def _updates_left(state: str, length: int, done: int) -> int:
    return 0 if state in ("trained", "skipped") else max(0, length - (done if state != "to train" else 0))


def format_rows(rows: list[PhaseRow]) -> str:
    """The rows as an aligned plain-text table."""
    headers = ("#", "phase", "mode", "pruned", "layers", "length", "updates", "start lr", "state")
    cells = [
        (str(r.index), r.name, r.mode, r.pruned, r.layers, r.length, str(r.updates), r.rate, r.state) for r in rows
    ]
    return aligned(headers, cells)


def estimate_cost(prepared: Prepared, model: nn.Module, rows: list[PhaseRow]) -> RunCost:
    """Times one update on a copy of the model; no generator and no weight of the run is touched."""
    left = [row for row in rows if row.state not in ("trained", "skipped")]
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    seconds = _seconds_per_update(prepared, model) if left else 0.0
    return RunCost(sum(row.updates_left for row in left), seconds, 2 * size, len(left))


def _seconds_per_update(prepared: Prepared, model: nn.Module) -> float:
    plan = prepared.plan
    device = prepared.precision.device
    twin = copy.deepcopy(model).to(device).train()
    first = plan.phases[0]
    assert first.opt is not None
    optimizer = build_optimizer(twin.parameters(), first.opt, rate=1e-6)
    batches = prepared.data.train_batches(
        batch_size=prepared.batch_size(first.batch), epoch=1, key=0, skip=0, workers=0
    )
    with torch.random.fork_rng():
        batch = next(iter(batches), None)
        if batch is None:
            raise DsdError("the training data gives no batch", help="is there anything to train on?")
        batch = batch.to(device)
        started = time.perf_counter()
        with prepared.precision.autocast():
            loss = prepared.task.loss(twin, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        float(loss.detach())
    return time.perf_counter() - started
