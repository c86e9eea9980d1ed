"""Writes TensorBoard events: curves of each branch, sparsity, and weight distributions at boundaries.

Each line of phases has its own sub-folder of `events/` (the main line's is `main`); the x axis is the number of updates
on the line. TensorBoard interpolates between points and sorts groups by name, so:

    curves/loss, curves/lr, curves/<metric>    the main curves, first; a jump has a point on both sides
    plan/..., sparsity/<weight>                the plan as text; the pruned share of each weight
    weights/<weight>                           a histogram before and after every boundary, and at the end

Hyper-parameters refer to the curves by which runs are compared, and write no values of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard.summary import histogram_raw, hparams, scalar, text

from dsd_lang.base.layers import select
from dsd_lang.base.metrics import MOVED
from dsd_lang.plan import Plan
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.session import Session
from dsd_runtime.tracking.console import shown_metrics
from dsd_runtime.tracking.event_file import EventFile
from dsd_runtime.tracking.moved_weights import moved_since
from dsd_runtime.tracking.tracker import NodeInTraining, Sink

_NUM_BINS = 101
_ALREADY_DRAWN = ("train.loss", "sparsity")


class TensorBoard(Sink):
    """Writes event files, one folder per line of phases; runs are compared by ``best_metric``.

    With ``is_shared`` another process may train the next phase of a line: every node has an event file of its own,
    because TensorBoard does not come back to an earlier one.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        hyper_parameters: Mapping[str, str | float],
        best_metric: str,
        *,
        is_shared: bool = False,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._hyper_parameters = hyper_parameters
        self._metrics = (best_metric, f"test.{best_metric.partition('.')[2]}")
        self._writers: dict[str, EventFile] = {}
        self._drawn: dict[str, dict[str, tuple[float, int]]] = {}
        self._is_plan_written = False
        self._num_events = 0
        self._is_shared = is_shared

    def resumed(self, node: NodeInTraining) -> None:
        self._writer(node)
        self._num_events = len(node.session.events)

    def before_boundary(self, node: NodeInTraining) -> None:
        self._histograms(node, node.session.total_updates)

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        writer, step = self._writer(node), node.session.total_updates
        self._histograms(node, step + 1)
        self._draw_sparsity(node)
        self._jump(node, "curves/lr", node.session.phase.lr)
        name = node.phase.label or node.phase.id
        writer.add(_text("plan/phase", f"`{name}`: {node.phase.mode}, lr {node.session.phase.lr:g}"), step)

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        if len(node.session.events) != self._num_events:
            moved = moved_since(node.session.events, self._num_events)
            self._draw_sparsity(node)  # a ramp has selected again
            if moved is not None:
                self._draw(node, f"curves/{MOVED}", moved)
        if node.phase.lr.decay.kind == "step" and not node.session.is_phase_over:
            self._jump(node, "curves/lr", node.session.phase.lr, is_quiet=True)

    def updated(self, node: NodeInTraining, *, update: int, loss: float, rate: float, samples: int) -> None:
        self._draw(node, "curves/loss", loss)
        if node.phase.lr.decay.kind != "step" or node.session.is_phase_over:  # otherwise it is drawn at the jump
            self._draw(node, "curves/lr", rate)

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        for name, value in shown_metrics(metrics).items():
            if name not in _ALREADY_DRAWN:
                self._draw(node, f"curves/{name}", value)
        self._draw_sparsity(node)
        self._writer(node).flush()

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        writer = self._writer(node)
        last = next(phase for phase in reversed(self._plan.phases) if phase.path == node.phase.path)
        is_line_over = last.id == node.phase.id
        if is_line_over:
            self._histograms(node, node.session.total_updates)
            compared = {f"curves/{name}": metrics[name] for name in self._metrics if name in metrics}
            summaries = hparams(dict(self._hyper_parameters), compared)  # type: ignore[no-untyped-call]
            for summary in summaries:
                writer.add(summary)
            self._drawn.pop(node.phase.path, None)
        if self._is_shared or is_line_over:  # a run may have more lines than a process may have open files
            self._writers.pop(node.phase.path).close()
        else:
            writer.flush()

    def close(self) -> None:
        with ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)

    def _writer(self, node: NodeInTraining) -> EventFile:
        """The line's writer; events of an earlier run after the first update of this one are purged."""
        path, done = node.phase.path, node.session.total_updates
        if path not in self._writers:
            writer = EventFile(line_folder(self._folder, path), purge_step=done + 1 if done else 0)
            self._writers[path] = writer
            self._write_plan(writer)
        return self._writers[path]

    def _write_plan(self, writer: EventFile) -> None:
        """Once for each process, in the first line that it trains: a plan of many branches is large."""
        if self._is_plan_written:
            return
        from dsd_lang.views.graph import PhaseGraph

        self._is_plan_written = True
        writer.add(_text("plan/graph", f"```mermaid\n{PhaseGraph(self._plan).to_mermaid()}\n```"))
        writer.add(_text("plan/json", f"```json\n{self._plan.to_json()}\n```"))

    def _draw(self, node: NodeInTraining, tag: str, value: float) -> None:
        step = node.session.total_updates
        drawn = self._drawn.setdefault(node.phase.path, {})
        if drawn.get(tag) != (value, step):
            drawn[tag] = (value, step)
            self._writer(node).add(scalar(tag, value), step)  # type: ignore[no-untyped-call]

    def _jump(self, node: NodeInTraining, tag: str, value: float, *, is_quiet: bool = False) -> None:
        """Adds a new value and repeats the one before at the same update, so that the curve is a step.

        With ``is_quiet``, a value that has not changed is not drawn.
        """
        before = self._drawn.get(node.phase.path, {}).get(tag)
        if before is not None and before[0] == value and before[1] != node.session.total_updates and is_quiet:
            return
        if before is not None and before[0] != value:
            self._draw(node, tag, before[0])
        self._draw(node, tag, value)

    def _draw_sparsity(self, node: NodeInTraining) -> None:
        self._num_events = len(node.session.events)
        shares = node.session.sparsity()
        known = {tag for tag in self._drawn.get(node.phase.path, {}) if tag.startswith("sparsity/")}
        gone = dict.fromkeys(known - {f"sparsity/{name}" for name in shares}, 0.0)
        for tag, value in ({f"sparsity/{name}": share for name, share in shares.items()} | gone).items():
            self._jump(node, tag, value)

    def _histograms(self, node: NodeInTraining, step: int) -> None:
        """Draws the weights; those of a sharded model are not all in this process."""
        if node.session.is_sharded:
            return
        writer = self._writer(node)
        for weight, values in _prunable_weights(node.session):
            writer.add(_histogram(f"weights/{weight}", values), step)


def line_folder(events: Path, path: str) -> Path:
    """A line's folder; the main line's is `main`, and a branch of that name gets another one."""
    return events / ("branch_main" if path == "main" else path.replace("/", "_") or "main")


def forget_after(folder: Path, updates: int) -> None:
    """Makes TensorBoard ignore the events in a line's files after an update."""
    if folder.is_dir():
        EventFile(folder, purge_step=updates + 1 if updates else 0).close()


def _prunable_weights(session: Session) -> list[tuple[str, Tensor]]:
    weights, _ = select((), (), session.boundary.layers)
    parameters = dict(session.model.named_parameters(remove_duplicate=False))
    return [(weight.name, parameters[weight.name].detach().float()) for weight in weights if weight.made_by is None]


def _text(tag: str, words: str) -> Any:
    return text(tag, words)  # type: ignore[no-untyped-call]


def _histogram(tag: str, values: Tensor) -> Any:
    """Counts in a grid symmetric about zero, so that pruned weights are in the middle bin."""
    low, high = (float(value) for value in values.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        return _text(tag, "not all weights are finite")
    bound = max(-low, high) or 1.0
    counts = torch.histc(values, bins=_NUM_BINS, min=-bound, max=bound)
    return histogram_raw(  # type: ignore[no-untyped-call]
        tag,
        min=low,
        max=high,
        num=values.numel(),
        sum=float(values.sum(dtype=torch.float64)),
        sum_squares=float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2,
        bucket_limits=np.linspace(-bound, bound, _NUM_BINS + 1)[1:].tolist(),
        bucket_counts=counts.tolist(),
    )
