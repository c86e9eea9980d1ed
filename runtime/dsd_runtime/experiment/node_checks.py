"""Whether what is saved of a node is enough: a schedule may have been edited since, and need more of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dsd_lang.plan import Checkpoint, Phase
from dsd_runtime.engine.references import reference_key
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.references import FolderReferences
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.storage.checkpoint import load_plain
from dsd_runtime.storage.durable import number_of


class NodeChecks:
    """Looks at the checkpoints of a plan's nodes in a run folder."""

    def __init__(self, prepared: Prepared, keys: Mapping[str, str], folder: RunFolder) -> None:
        self._prepared, self._plan, self._keys, self._folder = prepared, prepared.plan, keys, folder
        restoring = [phase for phase in self._plan.phases if phase.restore.kind == "saved"]
        above = [member for phase in restoring for member in self._plan.line(phase.id) if member.mode == "sparse"]
        self._keys_with_saved = {keys[member.id] for member in above}
        self._points: dict[str, list[Checkpoint]] = {}
        for point in self._plan.checkpoints:
            self._points.setdefault(str(point.phase), []).append(point)
        self._references = FolderReferences(folder, keys, dict)

    def finished(self, phase: Phase) -> Path | None:
        """The `end` of a phase's node, if it has everything that the plan needs of it."""
        key = self._keys[phase.id]
        end = self._folder.latest(key, "end")
        is_enough = end is not None and self.has_references(phase) and self.has_saved(key, end)
        return end if is_enough else None

    def resumable(self, phase: Phase) -> Path | None:
        """The progress of a phase's node, if it has every snapshot that was due."""
        key = self._keys[phase.id]
        progress = self._folder.progress(key)
        if progress is None or not self.has_references(phase, up_to=progress):
            return None
        return progress if self.has_saved(key, progress) else None

    def has_references(self, phase: Phase, *, up_to: Path | None = None) -> bool:
        """Whether a node has every snapshot that the plan needs (for a progress checkpoint, those already due).

        A snapshot that was added to the schedule later was never taken, so the node is trained again.
        """
        return all(
            self._references.has(reference_key(point))
            for point in self._points.get(phase.id, ())
            if up_to is None or self._is_due(point, phase, up_to)
        )

    def has_saved(self, key: str, checkpoint: Path) -> bool:
        """Whether a checkpoint has the pruned values, where a `restore=saved` below needs them: it may be older."""
        if key not in self._keys_with_saved:
            return True
        with reading_state():
            return bool(load_plain(checkpoint, "node").get("keeps_saved", False))

    def _is_due(self, point: Checkpoint, phase: Phase, progress: Path) -> bool:
        """Whether the moment was before the progress was saved."""
        if point.moment == "best":
            with reading_state():
                return load_plain(progress, "session")["best"] is not None
        if point.moment == "at" and point.offset is not None:
            offset = point.offset.length.updates(self._prepared.updates_per_epoch(phase.batch))
            return offset <= number_of(progress)
        return point.moment != "end"
