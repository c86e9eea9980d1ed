"""`metrics.jsonl`: one JSON object a line with node, label, epoch, update, name and value.

`epoch` and `update` count within the phase. When a node is trained again from an earlier point (after a kill), its
later lines are taken out first, so that no value stands twice.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsd_lang.errors import DsdError
from dsd_runtime.events import Event
from dsd_runtime.tracking.tracker import Place, Sink


class MetricsFile(Sink):
    """Appends metrics to a JSON-lines file, flushed at every evaluation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._earlier = {entry.get("node") for entry in self._entries()}

    def resumed(self, place: Place) -> None:
        self._drop_after(place.key, place.session.phase.step)

    def entered(self, place: Place, events: Sequence[Event]) -> None:
        self._drop_after(place.key, -1)
        phase = place.session.phase
        self._write(place, {"lr": phase.lr, "sparsity": place.session.sparsity()["total"]}, epoch=0.0, update=0)

    def updated(self, place: Place, *, update: int, loss: float, rate: float, samples: int) -> None:
        epoch = update / place.session.stage.updates_per_epoch
        self._write(place, {"loss": loss, "lr": rate}, epoch=epoch, update=update)

    def evaluated(self, place: Place, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        self._write(place, {**metrics, "sparsity": place.session.sparsity()["total"]}, epoch=epoch, update=update)

    def _write(self, place: Place, values: dict[str, float], *, epoch: float, update: int) -> None:
        head = {
            "node": place.key,
            "label": place.phase.label or place.phase.id,
            "path": place.phase.path,
            "epoch": round(epoch, 6),
            "update": update,
        }
        lines = "".join(json.dumps({**head, "name": name, "value": value}) + "\n" for name, value in values.items())
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise DsdError(f"`{self._path}` could not be written: {error.strerror}") from error

    def _entries(self) -> list[dict[str, Any]]:
        """What the file holds; the torn last line of a killed process is left out."""
        if not self._path.is_file():
            return []
        entries = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
        return entries

    def _drop_after(self, key: str, update: int) -> None:
        """Takes out a node's lines past that update, where an earlier run left some."""
        if key not in self._earlier:
            return
        self._earlier.discard(key)
        kept = [entry for entry in self._entries() if entry.get("node") != key or entry.get("update", 0) <= update]
        temporary = self._path.with_suffix(".jsonl.new")
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        os.replace(temporary, self._path)
