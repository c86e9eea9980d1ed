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

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage.durable import number_of, numbered


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

    def line_ends(self) -> list[Path]:
        """The files with the last weights of lines."""
        return [
            path for path in (self.final, *sorted((self.root / "branches").glob("*.safetensors"))) if path.is_file()
        ]

    def node(self, key: str) -> Path:
        return self.checkpoints / key

    def latest(self, key: str, kind: str) -> Path | None:
        """The latest complete checkpoint `<kind>-<update>` of a node."""
        return next(reversed(numbered(self.node(key), kind)), None)

    def progress_updates(self, key: str) -> int:
        """The updates of an unfinished node that need not be trained again."""
        progress = self.latest(key, "progress")
        return number_of(progress) if progress is not None else 0

    def skipped_mark(self, key: str) -> Path:
        """The file that says that a node was not trained because its loop had ended."""
        return self.node(key) / "skipped.json"

    def state(self, key: str) -> str:
        """`trained`, `skipped` (its loop had ended), `unfinished (500it)`, or `to train`."""
        if self.latest(key, "end") is not None:
            return "trained"
        if self.latest(key, "progress") is not None:
            return f"unfinished ({self.progress_updates(key)}it)"
        return "skipped" if self.skipped_mark(key).is_file() else "to train"

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest, or None where there is none; a damaged one is an error."""
        if not self.manifest.is_file():
            return None
        try:
            manifest: dict[str, Any] = dict(json.loads(self.manifest.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
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
