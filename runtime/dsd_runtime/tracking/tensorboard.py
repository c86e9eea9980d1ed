"""TensorBoard: losses, learning rate, sparsity and metrics of each line, weights on both sides of every boundary.

Each line of phases has its own sub-folder of `events/` (the main line's is `main`); the step is the update counted over
the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from dsd_lang.base.layers import select
from dsd_lang.plan import Plan
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.session import Session
from dsd_runtime.tracking.tracker import Place, Sink

_NUM_BINS = 101


class TensorBoard(Sink):
    """Writes event files, one folder for each line of phases."""

    def __init__(self, folder: Path, plan: Plan, hyper_parameters: Mapping[str, Any]) -> None:
        self._folder = folder
        self._plan = plan
        self._hyper_parameters = hyper_parameters
        self._writers: dict[str, Any] = {}

    def resumed(self, place: Place) -> None:
        self._writer(place)

    def before_boundary(self, place: Place) -> None:
        self._histograms(place, "before")

    def entered(self, place: Place, events: Sequence[Event]) -> None:
        self._histograms(place, "after")
        writer, step = self._writer(place), place.session.total_updates
        for name, value in place.session.sparsity().items():
            writer.add_scalar(f"sparsity/{name}", value, step)
        name = place.phase.label or place.phase.id
        writer.add_text("phase", f"`{name}`: {place.phase.mode}, lr {place.session.phase.lr:g}", step)

    def updated(self, place: Place, *, update: int, loss: float, rate: float, samples: int) -> None:
        writer, step = self._writer(place), place.session.total_updates
        writer.add_scalar("train/loss", loss, step)
        writer.add_scalar("train/lr", rate, step)

    def evaluated(self, place: Place, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        writer, step = self._writer(place), place.session.total_updates
        for name, value in metrics.items():
            split, _, metric = name.partition(".")
            tag = f"{split}/{'pass_' if split == 'train' else ''}{metric or 'total'}"
            writer.add_scalar(tag, value, step)
        writer.flush()

    def finished(self, place: Place, metrics: dict[str, float], *, seconds: float) -> None:
        writer = self._writer(place)
        last = next(phase for phase in reversed(self._plan.phases) if phase.path == place.phase.path)
        if last.id == place.phase.id and metrics:
            results = {f"hparam/{name}": value for name, value in metrics.items()}
            writer.add_hparams(dict(self._hyper_parameters), results, run_name="hparams")
        writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, place: Place) -> Any:
        """The line's writer; what an earlier run wrote past the update that this one begins at is purged."""
        path, done = place.phase.path, place.session.total_updates
        if path not in self._writers:
            folder = self._folder / _folder_name(path)
            writer = SummaryWriter(str(folder), purge_step=done + 1 if done else 0)
            self._writers[path] = writer
            self._write_graph(writer)
        return self._writers[path]

    def _write_graph(self, writer: Any) -> None:
        from dsd_lang.views.graph import PhaseGraph

        writer.add_text("plan/graph", f"```mermaid\n{PhaseGraph(self._plan).to_mermaid()}\n```", 0)
        writer.add_text("plan/json", f"```json\n{self._plan.to_json()}\n```", 0)

    def _histograms(self, place: Place, side: str) -> None:
        writer, step = self._writer(place), place.session.total_updates
        name = place.phase.label or place.phase.id
        for weight, values in _prunable_weights(place.session):
            if not bool(torch.isfinite(values).all()):
                writer.add_text(f"boundary_{name}/{weight}", f"{side}: not all weights are finite", step)
                continue
            counts, limits = _histogram(values)
            writer.add_histogram_raw(
                f"boundary_{name}/{weight}/{side}",
                min=float(values.min()),
                max=float(values.max()),
                num=values.numel(),
                sum=float(values.sum(dtype=torch.float64)),
                sum_squares=float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2,
                bucket_limits=limits,
                bucket_counts=counts,
                global_step=step,
            )


def _folder_name(path: str) -> str:
    """A line's folder; the main line's is `main`, a branch of that name gives way."""
    return "branch_main" if path == "main" else path.replace("/", "_") or "main"


def _prunable_weights(session: Session) -> list[tuple[str, Tensor]]:
    weights, _ = select((), (), session.boundary.layers)
    parameters = dict(session.model.named_parameters(remove_duplicate=False))
    return [(weight.name, parameters[weight.name].detach().float()) for weight in weights]


def _histogram(values: Tensor) -> tuple[list[float], list[float]]:
    """Counts in a grid symmetric about zero, so that pruned weights fall into the middle bin."""
    bound = float(values.abs().max()) or 1.0
    counts = torch.histc(values, bins=_NUM_BINS, min=-bound, max=bound)
    limits = np.linspace(-bound, bound, _NUM_BINS + 1)[1:]
    return counts.cpu().tolist(), limits.tolist()
