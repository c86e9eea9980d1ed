"""A run folder: the paths of everything in it.

    plan.json  manifest.json  metrics.jsonl  events/            the inputs of the run and its metrics
    checkpoints/<node key>/end-<update>/                        a finished node: weights, session, metrics
    checkpoints/<node key>/ref-<name>-<update>/                 weights that the schedule refers to
    checkpoints/<node key>/metrics.jsonl                        its lines of the folder's `metrics.jsonl`
    checkpoints/<node key>/entropy.json                         `entropy.relu` by layer, where something reads it
    checkpoints/<node key>/weights.json                         unpruned weights by layer, distributions at boundaries
    checkpoints/<node key>/densities.json                       the masked share of each weight over the updates
    checkpoints/<node key>/failure.json                         why nobody can train it now, while a run goes on without
    checkpoints/<node key>/attempt-<random>/                    all this of a node that is being trained, and
        progress-<update>/  status.json                         where it is resumed from; who trains it, how far it is
    leases/                                                     who trains in the folder now (see leases.py)
    final.safetensors  branches/<path>.safetensors              the last weights of each line
    predictions/<node key>.jsonl  results.json  report.html     what is compared, the answer, and its report

This module does not import torch, so that `dsd-plan` can read a folder without it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.storage.durable import number_of, numbered, remove, remove_leftovers, write_json

_FORMAT = "dsd_run"
METRICS = "metrics.jsonl"
NODE = re.compile(r"[0-9a-f]{16}")
"""A node's key."""


def default_folder(schedule: Path, model: str) -> Path:
    """`runs/SCHEDULE-MODEL`, with the model's options in a form that is valid in a file name."""
    name = "".join(char if char.isalnum() or char in "._-" else "-" for char in model)
    return Path("runs") / f"{schedule.stem}-{name}"


class Damaged(DsdError):
    """A file of a run folder has invalid content."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run folder; ``own`` are this process's attempts at nodes that it trains, by node key."""

    root: Path
    own: dict[str, Path] = field(default_factory=dict, compare=False, repr=False)

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def metrics(self) -> Path:
        return self.root / METRICS

    @property
    def unused_metrics(self) -> Path:
        """Where version 0.1 kept the lines of `metrics.jsonl` for phases that were removed from the schedule."""
        return self.root / "metrics.unused.jsonl"

    @property
    def leases(self) -> Path:
        """Who trains in the folder now."""
        return self.root / "leases"

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
        metrics = (self.metrics, self.unused_metrics)
        return (self.checkpoints, self.events, *metrics, *ends, self.plan, self.manifest)

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
        if any(NODE.fullmatch(path.name) for path in self.checkpoints.glob("*")):
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
        """Deletes incomplete files of killed processes, only where a run writes; no other process may work here."""
        own = {path.name for path in self.written}
        remove_leftovers(self.root, own.__contains__)
        remove_leftovers(self.branches, lambda name: name.endswith(".safetensors"))
        for node in self.checkpoints.glob("*"):
            if NODE.fullmatch(node.name) and not node.is_symlink():
                for part in (node, *self.attempts(node.name)):
                    remove_leftovers(part, lambda name: True)

    # --- one node -----------------------------------------------------------------------------------------------------

    def node(self, key: str) -> Path:
        """The folder of a node's results; nothing in it is written twice."""
        return self.checkpoints / key

    def work(self, key: str) -> Path:
        """Where this process writes what belongs to a node: its attempt while it trains it."""
        return self.own.get(key, self.node(key))

    def attempts(self, key: str) -> list[Path]:
        """The folders of the processes that train the node, or trained it and were stopped."""
        return sorted(self.node(key).glob("attempt-*"))

    def failure(self, key: str) -> Path:
        """The file that says why the node could not be trained (see noted_failures.py)."""
        return self.node(key) / "failure.json"

    def lease(self, key: str) -> Path:
        return self.leases / f"{key}.lock"

    def latest(self, key: str, kind: str) -> Path | None:
        """The latest complete checkpoint `<kind>-<update>` of a node."""
        return next(reversed(numbered(self.node(key), kind)), None)

    def progress(self, key: str) -> Path | None:
        """The checkpoint from which an unfinished node is resumed."""
        folders = (self.node(key), *self.attempts(key))  # in the node itself: of version 0.1
        return max((path for folder in folders for path in numbered(folder, "progress")), key=number_of, default=None)

    def progress_updates(self, key: str) -> int:
        """The updates of an unfinished node that are already trained."""
        progress = self.progress(key)
        return number_of(progress) if progress is not None else 0

    def entropies(self, key: str) -> Path:
        """The file with `entropy.relu` by layer, from the last evaluation of a node."""
        return self._record(key, "entropy.json")

    def weights_record(self, key: str) -> Path:
        """The file with a node's unpruned weights by layer, and their distributions at its boundaries."""
        return self._record(key, "weights.json")

    def densities(self, key: str) -> Path:
        """The file with the masked share of each weight of a node over its updates."""
        return self._record(key, "densities.json")

    def node_metrics(self, key: str) -> Path:
        """A node's lines of `metrics.jsonl`."""
        return self._record(key, METRICS)

    def _record(self, key: str, name: str) -> Path:
        """Where a file of a node is written, or to be read: finished, else as far as somebody's attempt is."""
        path = self.work(key) / name
        if key in self.own or path.is_file():
            return path
        unfinished = [attempt / name for attempt in self.attempts(key)]
        return next((file for file in unfinished if file.is_file()), path)

    # --- skipped nodes ------------------------------------------------------------------------------------------------

    def skipped_mark(self, key: str) -> Path:
        """The file that names the branches in which a node is skipped because its loop had ended."""
        return self.node(key) / "skipped.json"

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
        if self.progress(key) is not None:
            return f"unfinished ({self.progress_updates(key)}it)"
        is_skipped = self.skipped_mark(key).is_file() and (path is None or not skipping)  # older marks name no branch
        return "skipped" if is_skipped else "to train"

    # --- what a run says about itself ---------------------------------------------------------------------------------

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
