"""Digests follow content, whatever a file's name, size and time say, and whatever state the memory of them is in."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage import content
from dsd_runtime.storage.content import content_digest, content_digests


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "_FRESH_NS", -1)  # files of the tests have just been written
    return tmp_path / "cache" / "digests.sqlite"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def replaced(path: Path, data: bytes) -> None:
    """Other bytes under the same name, size and time of modification."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def count_whole_reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    reads: list[object] = []
    whole = hashlib.file_digest
    monkeypatch.setattr(content.hashlib, "file_digest", lambda file, name: reads.append(file) or whole(file, name))
    return reads


def test_a_file_is_read_whole_once(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(1 << 20))
    reads = count_whole_reads(monkeypatch)
    assert {content_digest(path) for _ in range(3)} == {sha(path.read_bytes())}
    assert len(reads) == 1


def test_other_bytes_under_the_same_name_size_and_time_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert content_digest(path) == sha(b"one")
    replaced(path, b"two")
    assert content_digest(path) == sha(b"two")


def test_sampled_blocks_are_compared_where_no_time_tells(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(content, "_stamp", lambda state: content._Stamp(state.st_size, 0, 0))
    path = tmp_path / "a"
    path.write_bytes(bytes(1 << 20))
    assert content_digest(path) == sha(bytes(1 << 20))
    path.write_bytes(bytes((1 << 20) - 1) + b"x")
    assert content_digest(path) == sha(bytes((1 << 20) - 1) + b"x")


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(content, "_FRESH_NS", 60_000_000_000)
    (tmp_path / "a").write_bytes(b"x")
    reads = count_whole_reads(monkeypatch)
    content_digest(tmp_path / "a")
    content_digest(tmp_path / "a")
    assert len(reads) == 2


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(600)]
    for path in paths:
        path.write_text(path.name)
    for _ in range(2):
        assert content_digests(paths) == [sha(path.name.encode()) for path in paths]


@pytest.mark.parametrize("damage", ["junk", "rows", "folder", "locked", "read-only"])
def test_a_damaged_memory_is_passed_over(tmp_path: Path, cache: Path, damage: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    content_digest(path)
    holder = None
    if damage == "junk":
        cache.write_bytes(b"junk" * 5000)
    elif damage == "rows":
        with sqlite3.connect(cache) as database:
            database.execute(f"UPDATE {content._TABLE} SET content = ?", (b"x" * 32,))
    elif damage == "locked":
        holder = sqlite3.connect(cache)
        holder.execute("BEGIN EXCLUSIVE")
    else:
        cache.unlink()
        cache.mkdir() if damage == "folder" else cache.parent.rmdir()
        if damage == "read-only":
            cache.parent.write_text("a file where the folder should be")
    content._WAIT_SECONDS, before = 0.05, content._WAIT_SECONDS
    try:
        assert content_digest(path) == sha(b"one")
    finally:
        content._WAIT_SECONDS = before
        if holder is not None:
            holder.close()


def test_several_writers_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(200)]
    for path in paths:
        path.write_text(path.name)
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(content_digests(paths))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[sha(path.name.encode()) for path in paths]] * 4


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DsdError, match="is a named pipe"):
        content_digest(tmp_path / "pipe")
    with pytest.raises(DsdError, match="is a device"):
        content_digest("/dev/zero")
    with pytest.raises(DsdError, match="cannot be read: no such file"):
        content_digest(tmp_path / "absent")
    assert content_digests([tmp_path / "absent"], unreadable="none") == ["none"]
