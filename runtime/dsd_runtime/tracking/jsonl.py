"""Writes `metrics.jsonl`: one JSON object per line with node, label, epoch, update, name and value.

`epoch` and `update` count within the phase. If a node is trained again from an earlier point (after a kill), its later
lines are removed first, so that no value occurs twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsd_runtime.engine.events import Event
from dsd_runtime.storage.durable import write_failure, write_text
from dsd_runtime.tracking.tracker import NodeInTraining, Sink


class MetricsFile(Sink):
    """Appends metrics to a JSON-lines file, flushed at every evaluation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        entries, is_torn = self._read()
        self._earlier = {entry.get("node") for entry in entries}
        if is_torn:
            self._rewrite(entries)

    def resumed(self, node: NodeInTraining) -> None:
        self._drop_after(node.key, node.session.phase.step)

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        self._drop_after(node.key, -1)
        phase = node.session.phase
        self._write(node, {"lr": phase.lr, "sparsity": node.session.sparsity()["total"]}, epoch=0.0, update=0)

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
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise write_failure(self._path, error) from error

    def _read(self) -> tuple[list[dict[str, Any]], bool]:
        """The contents of the file, and whether a killed process has left an incomplete line (which is left out)."""
        if not self._path.is_file():
            return [], False
        text = self._path.read_text(encoding="utf-8", errors="replace")
        entries, is_torn = [], bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                entries.append(dict(json.loads(line)))
            except (TypeError, ValueError):
                is_torn = True
        return entries, is_torn

    def _rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        write_text(self._path, "".join(json.dumps(entry) + "\n" for entry in entries))

    def _drop_after(self, key: str, update: int) -> None:
        """Removes lines of a node after that update, from an earlier run."""
        if key not in self._earlier:
            return
        self._earlier.discard(key)
        entries, _ = self._read()
        self._rewrite(entry for entry in entries if entry.get("node") != key or entry.get("update", 0) <= update)


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values as JSON: NaN and infinity, which JSON does not have, become null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
