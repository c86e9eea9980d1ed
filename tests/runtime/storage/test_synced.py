"""After a power cut a file that is there is whole: its bytes reach the disk before its name does.

The calls are watched, not the disk: which files (by inode) were synced, and when names changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dsd_runtime.storage.checkpoint import save_checkpoint, save_weights
from dsd_runtime.storage.durable import write_json, write_text

Happening = tuple[str, int]


@pytest.fixture
def happenings(monkeypatch: pytest.MonkeyPatch) -> list[Happening]:
    """("sync", inode) and ("rename", inode of what was renamed), in order."""
    seen: list[Happening] = []
    sync, replace, rename = os.fsync, os.replace, os.rename

    def watched_sync(descriptor: int) -> None:
        seen.append(("sync", os.fstat(descriptor).st_ino))
        sync(descriptor)

    def watched(move: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def moved(source: str, target: str) -> None:
            seen.append(("rename", os.stat(source).st_ino))
            move(source, target)

        return moved

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched(replace))
    monkeypatch.setattr(os, "rename", watched(rename))
    return seen


def _inode(path: Path) -> int:
    return path.stat().st_ino


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "words"),
        lambda path: write_json(path, {"a": 1}),
        lambda path: save_weights(path, {"w": torch.ones(3)}),
    ],
    ids=["text", "json", "weights"],
)
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_a_file_is_synced_then_named_then_its_folder_is_synced(
    tmp_path: Path, happenings: list[Happening], write: Callable[[Path], None], is_there: bool
) -> None:
    target = tmp_path / "file"
    if is_there:
        write(target)
        happenings.clear()
    write(target)
    renamed = happenings.index(("rename", _inode(target)))
    assert ("sync", _inode(target)) in happenings[:renamed]
    assert ("sync", _inode(tmp_path)) in happenings[renamed:]


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_every_file_of_a_checkpoint_and_both_folders_are_synced(
    tmp_path: Path, happenings: list[Happening], is_there: bool
) -> None:
    target = tmp_path / "checkpoints" / "end-5"
    parts = {"weights": {"w": torch.ones(3)}, "session": {"step": 5, "state": [torch.zeros(2)]}, "loop": {"batch": 1}}
    if is_there:
        save_checkpoint(target, parts)
        happenings.clear()
    save_checkpoint(target, parts)
    renamed = happenings.index(("rename", _inode(target)))
    files = sorted(target.iterdir())
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert len(files) == 6
    for path in (*files, target):
        assert ("sync", _inode(path)) in happenings[:renamed], path.name
    assert ("sync", _inode(target.parent)) in happenings[renamed:]
