"""`status.json` of a node in training: who trains it and how far it is, for the other processes that show it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dsd_runtime.engine.events import Event
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import holder
from dsd_runtime.tracking.tracker import NodeInTraining, Sink

_EVERY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Status:
    """The process that trains a node (`host:process`), and the updates of the phase: done, and in all."""

    by: str
    update: int
    length: int


class StatusFile(Sink):
    """Writes it at most twice a second. It is not flushed to the disk: after a crash nobody needs it."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._written = 0.0
        self._by = holder()

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        self._write(node)

    def resumed(self, node: NodeInTraining) -> None:
        self._write(node)

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        if time.monotonic() - self._written > _EVERY_SECONDS:
            self._write(node)

    def _write(self, node: NodeInTraining) -> None:
        self._written = time.monotonic()
        attempt = self._folder.own.get(node.key)
        if attempt is None:
            return
        phase = node.session.phase
        text = json.dumps(asdict(Status(self._by, phase.step, phase.length)))
        unfinished = attempt / ".writing-status"
        try:
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, attempt / "status.json")
        except FileNotFoundError:
            return  # another process has taken the attempt over: the trainer notices


def read_status(folder: RunFolder, key: str) -> Status | None:
    """How far the process is that trains a node now; None if nobody shows that."""
    for attempt in folder.attempts(key):
        try:
            return Status(**json.loads((attempt / "status.json").read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError):
            continue
    return None
