"""Writes which share of each weight is masked, and from which update on, beside the checkpoints of a node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dsd_runtime.engine.events import Event
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.storage.durable import write_json
from dsd_runtime.tracking.tracker import NodeInTraining, Sink

Change = tuple[int, dict[str, float]]
"""After so many updates of the phase: the masked share of each weight that has a mask."""


class DensityFile(Sink):
    """Keeps `densities.json` of the node in training up to date (see :mod:`dsd_runtime.results.flops`).

    Masks change at the begin of a phase, where the session records an event, and with `enforce=` after every update:
    then the shares are those at the last evaluation.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._changes: list[Change] = []
        self._num_events = 0
        self._is_written = True
        self._path: Path | None = None

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        self._begin(node, [])

    def resumed(self, node: NodeInTraining) -> None:
        step = node.session.phase.step
        earlier = _read(self._folder.densities(node.key))
        self._begin(node, [change for change in earlier if change[0] == 0 or change[0] < step])

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        if len(node.session.events) != self._num_events:
            self._look(node, update - 1)

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        self._look(node, update)
        self._write()

    def saved(self, path: Path) -> None:
        self._write()

    def _begin(self, node: NodeInTraining, changes: list[Change]) -> None:
        self._changes, self._path, self._is_written = changes, self._folder.densities(node.key), True
        self._look(node, node.session.phase.step if changes else 0)

    def _look(self, node: NodeInTraining, update: int) -> None:
        self._num_events = len(node.session.events)
        found = node.session.sparsity()
        masked = {name: share for name, share in found.items() if share and name != "total"}
        if not self._changes or self._changes[-1][1] != masked:
            self._changes.append((update, masked))
            self._is_written = False

    def _write(self) -> None:
        if not self._is_written and self._path is not None:
            write_json(self._path, {"masked": self._changes}, is_flushed=False)
            self._is_written = True


def _read(path: Path) -> list[Change]:
    """What an earlier sitting has written; nothing if that is gone or damaged, and then the results say so."""
    try:
        return [
            (int(update), dict(masked)) for update, masked in json.loads(path.read_text(encoding="utf-8"))["masked"]
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return []
