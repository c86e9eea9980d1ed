"""One process's attempt at training a node: a private folder that becomes the node when it is complete.

    attempted()         takes over what an earlier attempt has saved: renamed, so that only one process has it
    publish_attempt()   renames the attempt to `complete-...`, which nobody takes over, and moves its parts into the
                        node's folder, the `end` last; nothing that is there is replaced

So a node has results when it has an `end`, whoever trained it and however often: every attempt ends with the same bits.
A process that lost its attempt (it stood still for longer than a lease) publishes nothing: the file `owner` went with
the attempt.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dsd_runtime.experiment.folder import METRICS, RunFolder
from dsd_runtime.experiment.leases import holder
from dsd_runtime.storage.durable import (
    flush_folder,
    flush_together,
    number_of,
    numbered,
    publish,
    remove,
    remove_leftovers,
    write_failure,
)

_OWNER = "owner"
_COMPLETE = "complete-"
_PRIVATE = ("progress-", "status.json", ".writing-", _OWNER)


@contextmanager
def attempted(folder: RunFolder, key: str) -> Iterator[None]:
    """Inside the block this process writes a node's files into an attempt of its own, which stays if it fails.

    The node's lease must be held, since attempts of others are taken over or deleted.
    """
    attempt = folder.node(key) / f"attempt-{secrets.token_hex(8)}"
    try:
        attempt.parent.mkdir(parents=True, exist_ok=True)
        _take_over(folder, key, attempt)
        attempt.mkdir(exist_ok=True)
        (attempt / _OWNER).write_text(holder(), encoding="utf-8")
    except OSError as error:
        raise write_failure(attempt, error) from error
    folder.own[key] = attempt
    try:
        yield
    finally:
        folder.own.pop(key, None)


def publish_attempt(folder: RunFolder, key: str, *, replaces: bool) -> bool:
    """Makes this process's attempt the node; with ``replaces`` an insufficient earlier result makes room first.

    Returns False if another process has taken the attempt over.
    """
    attempt, node = folder.own[key], folder.node(key)
    complete = _complete(attempt)
    try:
        os.rename(attempt, complete)
    except FileNotFoundError:
        return False
    if not (complete / _OWNER).is_file():
        remove(complete)
        return False
    if replaces:
        for old in (*numbered(node, "end"), *(node / entry.name for entry in _results(complete))):
            remove(old)
    finish_publishing(folder, key)
    remove(folder.failure(key))
    del folder.own[key]
    return True


def is_lost(folder: RunFolder, key: str) -> bool:
    """Whether another process has taken this process's attempt over, since it seemed to have gone."""
    return key in folder.own and not (folder.own[key] / _OWNER).is_file()


def finish_publishing(folder: RunFolder, key: str) -> None:
    """Moves the parts of complete attempts into the node, also of a process that was killed meanwhile."""
    node = folder.node(key)
    for attempt in folder.attempts(key):
        if numbered(attempt, "end") and (attempt / _OWNER).is_file():
            os.rename(attempt, _complete(attempt))
    for complete in sorted(node.glob(f"{_COMPLETE}*")):
        kept = [path for path in (complete, complete / METRICS) if path.exists()]
        flush_together(kept)  # the other records can be done without, after a power cut
        for entry in sorted(_results(complete), key=lambda entry: entry.name.startswith("end-")):
            publish(entry, node / entry.name)
        flush_folder(node)
        remove(complete)


def _complete(attempt: Path) -> Path:
    return attempt.with_name(attempt.name.replace("attempt-", _COMPLETE))


def _results(attempt: Path) -> list[Path]:
    return [entry for entry in sorted(attempt.iterdir()) if not entry.name.startswith(_PRIVATE)]


def _take_over(folder: RunFolder, key: str, attempt: Path) -> None:
    """Renames the attempt that is the farthest, or gathers what version 0.1 has left in the node itself."""
    node, before = folder.node(key), folder.attempts(key)
    whole = [other for other in before if (other / _OWNER).is_file()]
    farthest = max(whole, key=_updates, default=None)
    if farthest is not None:
        os.rename(farthest, attempt)
        remove_leftovers(attempt, lambda name: True)
    elif numbered(node, "progress") and not numbered(node, "end"):
        attempt.mkdir()
        for entry in sorted(node.iterdir()):
            if entry not in (attempt, folder.skipped_mark(key), folder.failure(key), *before):
                os.rename(entry, attempt / entry.name)
    for other in before:
        if other != farthest:
            remove(other)


def _updates(attempt: Path) -> int:
    return max(map(number_of, numbered(attempt, "progress")), default=-1)
