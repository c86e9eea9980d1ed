"""Files and folders are there whole or not at all; what a killed process leaves is cleared."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage import durable
from dsd_runtime.storage.checkpoint import load_checkpoint, save_checkpoint
from dsd_runtime.storage.durable import (
    DiskFull,
    numbered,
    remove,
    remove_leftovers,
    write_json,
    write_where_told,
    writing,
)


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"a": 1})
    with pytest.raises(TypeError), writing(target) as unfinished:
        unfinished.write_text(1)  # type: ignore[arg-type]
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EACCES, DsdError)])
def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path, number: int, kind: type[DsdError]) -> None:
    with pytest.raises(kind, match=r"could not be written|disk is full"), writing(tmp_path / "a"):
        raise OSError(number, "no")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DsdError, match="could not be written"):
        write_json(tmp_path / "file" / "a.json", {})


def test_what_a_user_names_is_written_to_and_never_replaced_by_a_file(tmp_path: Path) -> None:
    """`--out /dev/stdout`, a pipe, a link: each stays what it is."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_where_told(pipe, "a")
    reader.join(10)
    assert read == ["a"]
    assert pipe.is_fifo()
    write_where_told(link, "b")
    assert link.is_symlink()
    assert target.read_text() == "b"
    with pytest.raises(DsdError, match="is a folder"):
        write_where_told(tmp_path, "c")


def test_a_device_that_is_full_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(DiskFull):
        write_where_told(full, "a")
    assert full.is_char_device()


def test_a_deletion_that_is_killed_leaves_no_half_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`checksums.json` may outlive the weights, but not under the checkpoint's name."""
    save_checkpoint(tmp_path / "progress-5", {"weights": {"w": torch.ones(3)}})

    def killed(path: Path, **_: object) -> None:
        (path / "weights.safetensors").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(tmp_path / "progress-5")
    assert numbered(tmp_path, "progress") == []
    remove_leftovers(tmp_path, "progress-5".__eq__)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_replaces_one_of_its_name(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        save_checkpoint(tmp_path / "end-10", {"weights": {"w": torch.full((3,), value)}})
    assert float(load_checkpoint(tmp_path / "end-10")["weights"]["w"][0]) == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["end-10"]


def test_the_latest_is_by_number_and_complete(tmp_path: Path) -> None:
    for name in ("end-9", "end-10", "end-x", "endless-99"):
        (tmp_path / name).mkdir()
        (tmp_path / name / durable.COMPLETE_MARK).write_text("{}")
    (tmp_path / "end-11").mkdir()
    assert [path.name for path in numbered(tmp_path, "end")] == ["end-9", "end-10"]
    assert numbered(tmp_path / "absent", "end") == []
    remove(tmp_path / "absent")
