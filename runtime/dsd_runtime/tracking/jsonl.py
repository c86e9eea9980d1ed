"""Writes a node's metrics: one JSON object per line with node, label, epoch, update, name and value.

`epoch` and `update` count within the phase. If a node is trained again from an earlier point (after a kill), its later
lines are removed first, so that no value occurs twice. `metrics.jsonl` of the run has the lines of all nodes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsd_lang.base.metrics import MOVED
from dsd_runtime.engine.events import Event
from dsd_runtime.storage.durable import write_failure, write_text
from dsd_runtime.tracking.moved_weights import moved_since
from dsd_runtime.tracking.tracker import NodeInTraining, Sink


class MetricsFile(Sink):
    """Appends to the JSON-lines file of the node in training, which ``path_of`` gives by its key."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self._path_of = path_of
        self._num_events = 0

    def resumed(self, node: NodeInTraining) -> None:
        self._num_events = len(node.session.events)
        step = node.session.phase.step
        kept = [entry for entry in entries(self._path_of(node.key)) if entry.get("update", 0) <= step]
        write_text(self._path_of(node.key), "".join(json.dumps(entry) + "\n" for entry in kept))

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        self._num_events = len(node.session.events)
        write_text(self._path_of(node.key), "", is_flushed=False)
        phase = node.session.phase
        self._write(node, {"lr": phase.lr, "sparsity": node.session.sparsity()["total"]}, epoch=0.0, update=0)

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        events, known = node.session.events, self._num_events
        self._num_events = len(events)
        if len(events) != known and (moved := moved_since(events, known)) is not None:
            self._write(node, {MOVED: moved}, epoch=update / node.session.stage.updates_per_epoch, update=update)

    def updated(self, node: NodeInTraining, *, update: int, loss: float, rate: float, samples: int) -> None:
        epoch = update / node.session.stage.updates_per_epoch
        self._write(node, {"loss": loss, "lr": rate}, epoch=epoch, update=update)

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        self._write(node, metrics, epoch=epoch, update=update)

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        phase = node.session.phase
        epoch = phase.step / node.session.stage.updates_per_epoch
        self._write(node, {"seconds": seconds}, epoch=epoch, update=phase.step)

    def _write(self, node: NodeInTraining, values: dict[str, float], *, epoch: float, update: int) -> None:
        head = {
            "node": node.key,
            "label": node.phase.label or node.phase.id,
            "path": node.phase.path,
            "epoch": round(epoch, 6),
            "update": update,
        }
        lines = "".join(
            json.dumps({**head, "name": name, "value": value}) + "\n" for name, value in finite_or_none(values).items()
        )
        path = self._path_of(node.key)
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise write_failure(path, error) from error


def entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; those that are incomplete, as a killed process leaves them, or damaged are left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(dict(json.loads(line)))
        except (TypeError, ValueError, RecursionError):
            continue
    return found


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values as JSON: NaN and infinity, which JSON does not have, become null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
