"""A run folder: the paths of everything in it, and the lock that allows only one writer.

    plan.json  manifest.json  metrics.jsonl  events/            the inputs of the run and its metrics
    checkpoints/<node key>/end-<update>/                        a finished node: weights, session, metrics
    checkpoints/<node key>/progress-<update>/                   an unfinished one, to resume from
    checkpoints/<node key>/ref-<name>-<update>/                 weights that the schedule refers to
    checkpoints/<node key>/entropy.json                         `entropy.relu` by layer, where something reads it
    checkpoints/<node key>/weights.json                         unpruned weights by layer, distributions at boundaries
    checkpoints/<node key>/densities.json                       the masked share of each weight over the updates
    final.safetensors  branches/<path>.safetensors              the last weights of each line
    predictions/<node key>.jsonl  results.json  report.html     what is compared, the answer, and its report

This module does not import torch, so that `dsd-plan` can read a folder without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.storage.durable import number_of, numbered, remove, remove_leftovers, write_json

_FORMAT = "dsd_run"
_NODE = re.compile(r"[0-9a-f]{16}")


class Damaged(DsdError):
    """A file of a run folder has invalid content."""


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
    def unused_metrics(self) -> Path:
        """Lines of `metrics.jsonl` for phases that were removed from the schedule."""
        return self.root / "metrics.unused.jsonl"

    @property
    def branches(self) -> Path:
        return self.root / "branches"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def predictions(self) -> Path:
        """What the last nodes of compared branches predict on the test data."""
        return self.root / "predictions"

    @property
    def results(self) -> Path:
        return self.root / "results.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def final(self) -> Path:
        return self.root / "final.safetensors"

    def branch(self, path: str) -> Path:
        """The file of a branch's last weights; characters of the path that a file name cannot contain become `_`."""
        return self.branches / f"{path.replace('/', '_')}.safetensors"

    def line_ends(self) -> list[Path]:
        """The files with the last weights of each line."""
        return [path for path in (self.final, *self.branches.glob("*.safetensors")) if path.is_file()]

    @property
    def written(self) -> tuple[Path, ...]:
        """Everything in the folder that a run writes, the manifest last."""
        ends = (self.final, self.branches, self.predictions, self.results, self.report)
        return (self.checkpoints, self.events, self.metrics, self.unused_metrics, *ends, self.plan, self.manifest)

    def require_ours(self) -> None:
        """Raises :class:`DsdError` for a folder that is not a run folder and has files that a run would overwrite."""
        strange = [path for path in self.written if os.path.lexists(path)]
        if strange and not self._is_ours():
            raise DsdError(
                f"`{self.root}` is not a run folder, and already contains `{strange[0].name}`",
                help="with `--out`, choose a new folder or the folder of an earlier run",
            )

    def _is_ours(self) -> bool:
        """Whether the folder has anything that only a run writes, even if it is damaged."""
        if any(_NODE.fullmatch(path.name) for path in self.checkpoints.glob("*")):
            return True
        try:
            return self.read_manifest() is not None or self.read_plan() is not None
        except Damaged:
            return True
        except DsdError:
            return False

    def clear(self) -> list[str]:
        """Deletes only what a run writes. Links are deleted themselves, and named in the returned lines."""
        self.require_ours()
        links = [path for path in self.written if path.is_symlink()]
        lines = [f"`{path}` was a link to `{os.readlink(path)}`: only the link is deleted" for path in links]
        for path in self.written:
            if path == self.branches and not path.is_symlink():
                self.remove_line_ends()
            else:
                remove(path)
        return lines

    def remove_line_ends(self) -> None:
        """Deletes the last weights of every line."""
        for path in self.line_ends():
            remove(path)

    def remove_leftovers(self) -> None:
        """Deletes incomplete files of a killed run, only where a run writes."""
        own = {path.name for path in self.written}
        remove_leftovers(self.root, own.__contains__)
        remove_leftovers(self.branches, lambda name: name.endswith(".safetensors"))
        for node in self.checkpoints.glob("*"):
            if _NODE.fullmatch(node.name) and not node.is_symlink():
                remove_leftovers(node, lambda name: True)

    def node(self, key: str) -> Path:
        return self.checkpoints / key

    def latest(self, key: str, kind: str) -> Path | None:
        """The latest complete checkpoint `<kind>-<update>` of a node."""
        return next(reversed(numbered(self.node(key), kind)), None)

    def progress_updates(self, key: str) -> int:
        """The updates of an unfinished node that are already trained."""
        progress = self.latest(key, "progress")
        return number_of(progress) if progress is not None else 0

    def skipped_mark(self, key: str) -> Path:
        """The file that names the branches in which a node is skipped because its loop had ended."""
        return self.node(key) / "skipped.json"

    def entropies(self, key: str) -> Path:
        """The file with `entropy.relu` by layer, from the last evaluation of a node."""
        return self.node(key) / "entropy.json"

    def weights_record(self, key: str) -> Path:
        """The file with a node's unpruned weights by layer, and their distributions at its boundaries."""
        return self.node(key) / "weights.json"

    def densities(self, key: str) -> Path:
        """The file with the masked share of each weight of a node over its updates."""
        return self.node(key) / "densities.json"

    def skipped_in(self, key: str) -> tuple[str, ...]:
        """The paths of the branches that skip a node; another branch with the same node may train it."""
        try:
            return tuple(map(str, json.loads(self.skipped_mark(key).read_text(encoding="utf-8"))["paths"]))
        except (OSError, TypeError, ValueError, KeyError):
            return ()  # nothing is skipped, or the mark is damaged or older

    def mark_skipped(self, key: str, path: str, *, is_skipped: bool) -> None:
        """Notes whether a branch skips a node."""
        before = self.skipped_in(key)
        paths = sorted({*before, path} if is_skipped else {*before} - {path})
        if paths:
            if list(before) != paths:
                write_json(self.skipped_mark(key), {"paths": paths})
        else:
            remove(self.skipped_mark(key))

    def state(self, key: str, path: str | None = None) -> str:
        """`trained`, `skipped` (its loop had ended), `unfinished (500it)`, or `to train`.

        Two branches may share a node, and only one of them skip it: with ``path`` the state is that in its branch.
        """
        skipping = self.skipped_in(key)
        if path in skipping:
            return "skipped"
        if self.latest(key, "end") is not None:
            return "trained"
        if self.latest(key, "progress") is not None:
            return f"unfinished ({self.progress_updates(key)}it)"
        is_skipped = self.skipped_mark(key).is_file() and (path is None or not skipping)  # older marks name no branch
        return "skipped" if is_skipped else "to train"

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest, or None if there is none; raises :class:`DsdError` for an invalid one."""
        if not self.manifest.is_file():
            return None
        try:
            manifest: dict[str, Any] = dict(json.loads(self.manifest.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError, RecursionError) as error:
            raise self._damaged(self.manifest, str(error)) from error
        if _FORMAT not in manifest:
            raise DsdError(f"`{self.manifest}` was not written by `dsd-run`", help="choose a new folder with `--out`")
        if not all(isinstance(manifest.get(name, {}), dict) for name in ("nodes", "setting")):
            raise self._damaged(self.manifest, "its nodes are not a table")
        return manifest

    def read_plan(self) -> Plan | None:
        """The plan of the folder's last run, or None; raises :class:`DsdError` for an invalid one."""
        if not self.plan.is_file():
            return None
        try:
            return Plan.from_json(self.plan.read_text(encoding="utf-8"))
        except (DsdError, OSError, ValueError, RecursionError) as error:
            raise self._damaged(self.plan, error.message if isinstance(error, DsdError) else str(error)) from error

    @staticmethod
    def _damaged(path: Path, why: str) -> Damaged:
        return Damaged(
            f"`{path}` is damaged: {why}",
            help="delete that file (trained phases are kept), or use another `--out` or `--fresh`",
        )

    def is_in_use(self) -> bool:
        """Whether a process writes to the folder now; False where that cannot be known."""
        try:
            lock = os.open(self.root / ".lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(lock)
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder for this process; raises :class:`DsdError` if another process uses it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise DsdError(f"cannot write to `{self.root}`: {error.strerror}", help="choose another `--out`") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise DsdError(
                f"another process is using `{self.root}`", help="wait for it, or choose another `--out`"
            ) from error
        except OSError as error:
            os.close(lock)
            raise DsdError(
                f"cannot lock `{self.root}`: {error.strerror}", help="choose an `--out` on another disk"
            ) from error
        try:
            yield
        finally:
            os.close(lock)
