"""One run folder: where everything of a run lies, and who may write to it.

    plan.json  manifest.json  metrics.jsonl  events/            what was asked, by whom, what was measured
    checkpoints/<node key>/end-<update>/                        a finished node: weights, session, metrics
    checkpoints/<node key>/progress-<update>/                   an unfinished one, to go on from
    checkpoints/<node key>/ref-<name>-<update>/                 weights that the schedule refers to
    final.safetensors  branches/<path>.safetensors              the last weights of each line

No torch here, so that `dsd-plan` can read a folder without it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsd_lang.errors import DsdError

COMPLETE_MARK = "checksums.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run folder."""

    root: Path

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def final(self) -> Path:
        return self.root / "final.safetensors"

    def branch(self, path: str) -> Path:
        """Where a branch's last weights go; the path's own characters that a file name cannot hold become `_`."""
        return self.root / "branches" / f"{path.replace('/', '_')}.safetensors"

    def node(self, key: str) -> Path:
        return self.checkpoints / key

    def latest(self, key: str, kind: str) -> Path | None:
        """The latest complete checkpoint `<kind>-<update>` of a node."""
        found = [
            path
            for path in self.node(key).glob(f"{kind}-*")
            if path.name[len(kind) + 1 :].isdigit() and (path / COMPLETE_MARK).is_file()
        ]
        return max(found, key=lambda path: int(path.name[len(kind) + 1 :]), default=None)

    def state(self, key: str) -> str:
        """`trained`, `skipped` (its loop had ended), `unfinished (500 it)`, or `to train`."""
        if self.latest(key, "end") is not None:
            return "trained"
        if (self.node(key) / "skipped.json").is_file():
            return "skipped"
        progress = self.latest(key, "progress")
        return (
            f"unfinished ({progress.name.split('-')[1].lstrip('0') or '0'}it)" if progress is not None else "to train"
        )

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest, or None where there is none; a damaged one is an error."""
        if not self.manifest.is_file():
            return None
        try:
            manifest: dict[str, Any] = json.loads(self.manifest.read_text())
        except (OSError, ValueError) as error:
            raise DsdError(
                f"`{self.manifest}` cannot be read: {error}", help="use another `--out`, or `--fresh`"
            ) from error
        return manifest

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; raises :class:`DsdError` when another one works in it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DsdError(
                f"`{self.root}` cannot be written: {error.strerror}", help="choose another `--out`"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise DsdError(
                f"another process is working in `{self.root}`", help="wait for it, or choose another `--out`"
            ) from error
        try:
            yield
        finally:
            os.close(lock)
