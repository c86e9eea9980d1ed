"""Stores the snapshots that a schedule refers to in the folders of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from dsd_runtime.engine.references import ClockReading, Snapshot, missing_reference
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.storage.checkpoint import load_checkpoint, load_plain, save_checkpoint
from dsd_runtime.storage.durable import numbered, remove

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


class FolderReferences:
    """A reference store in a run folder; ``keys`` maps phase ids to node keys.

    The end of a phase is its node's own checkpoint, and the initial weights are created again when needed; only the
    other moments are written.
    """

    def __init__(
        self,
        folder: RunFolder,
        keys: Mapping[str, str],
        initial_weights: Callable[[], Mapping[str, Tensor]],
        *,
        mesh: DeviceMesh | None = None,
    ) -> None:
        """``mesh`` is that of a sharded model: what was written in shards is read as shards over it."""
        self._folder = folder
        self._keys = keys
        self._initial_weights = initial_weights
        self._mesh = mesh

    def has(self, key: str) -> bool:
        """Whether a snapshot can be loaded."""
        folder, name = self._location(key)
        return key == "init" or bool(numbered(folder, name))

    def save(self, key: str, snapshot: Snapshot, *, is_writing: bool = True) -> None:
        """Writes a snapshot; a newer one with the same name (`@label.best`) replaces the older one atomically.

        All processes write sharded weights; only the one with ``is_writing`` replaces the older one.
        """
        folder, name = self._location(key)
        if name == "end":
            return
        target = folder / f"{name}-{snapshot.reading.total_updates:010d}"
        older = [path for path in numbered(folder, name) if path != target]
        save_checkpoint(target, {"weights": snapshot.weights, "reading": asdict(snapshot.reading)})
        for path in older if is_writing else ():
            remove(path)

    def load(self, key: str) -> Snapshot:
        if key == "init":
            return Snapshot(dict(self._initial_weights()), ClockReading())
        folder, name = self._location(key)
        found = numbered(folder, name)
        if not found:
            raise missing_reference(key)
        if name == "end":
            weights = load_checkpoint(found[-1], ["weights"], mesh=self._mesh)["weights"]
            with reading_state():
                session = load_plain(found[-1], "session")
                data = session["position"]
                reading = ClockReading(int(session["step"]), int(session["total"]), data["epoch"], data["batch"])
                return Snapshot(weights, reading)
        parts = load_checkpoint(found[-1], mesh=self._mesh)
        with reading_state():
            return Snapshot(parts["weights"], ClockReading(**parts["reading"]))

    def _location(self, key: str) -> tuple[Path, str]:
        """The folder and file name of a reference key such as `p0.end` or `p0.at.500it`."""
        phase, _, moment = key.partition(".")
        name = "end" if moment == "end" else f"ref-{moment.replace('/', '_')}"
        return self._folder.work(self._keys.get(phase, phase)), name
