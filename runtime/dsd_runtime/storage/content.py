"""Digests of files by content, cached so that an unchanged file is not read whole again.

Digests are cached in a database in the cache folder, by the file's device and inode, with its size and its modification
and change times (a program cannot set the latter) in nanoseconds. If these are unchanged, some blocks of the file are
still compared, for up to :data:`RECHECKED_FILES` files chosen at random each time, because not every file system keeps
its times. If the database is damaged, locked or read-only, it is ignored and files are read.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import open_regular
from dsd_runtime.storage.cache_folder import cache_folder

RECHECKED_FILES = 256
"""Files of one set whose blocks are compared although nothing about them seems to have changed."""
SAMPLED_BLOCKS = 16
BLOCK_BYTES = 4096

_TABLE = "digests_1"
_FRESH_NS = 2_000_000_000
"""A file that changed less than this ago may change again within its time stamp's grain: it is not remembered."""
_READERS = 8
_WAIT_SECONDS = 10.0


class _Stamp(NamedTuple):
    """The properties that identify an unchanged file without reading it."""

    size: int
    modified_ns: int
    changed_ns: int


class _Known(NamedTuple):
    """The cache entry of a file: its stamp, the sha256 of its content, the digest of its sampled blocks."""

    stamp: _Stamp
    content: bytes
    sample: bytes


def content_digest(path: str | Path) -> str:
    """The sha256 of a file's content, as hex. Raises the errors of :func:`content_digests`."""
    return content_digests([path])[0]


def content_digests(paths: Sequence[str | Path], *, unreadable: str | None = None) -> list[str]:
    """The sha256 of each file's content, as hex, in order; ``unreadable``, if given, for a file that cannot be read.

    Raises :class:`DsdError` for a path that is not a regular file and, without ``unreadable``, for one that does not
    exist or cannot be read.
    """
    states = [_state(path) for path in paths]
    with _database() as database:
        known = _recall(database, [_name(state) for state in states if state is not None])
        chosen = set(random.SystemRandom().sample(range(len(paths)), min(RECHECKED_FILES, len(paths))))
        found: dict[int, str] = {}
        to_read: dict[int, _Known | None] = {}
        for index, state in enumerate(states):
            before = None if state is None else known.get(_name(state))
            is_same = state is not None and before is not None and before.stamp == _stamp(state)
            if is_same and before is not None and index not in chosen:
                found[index] = before.content.hex()
            else:
                to_read[index] = before if is_same else None
        news = _read(paths, to_read, unreadable)
        found |= {index: content for index, (content, _) in news.items()}
        _remember(
            database, {_name(state): new[1] for index, new in news.items() if (state := states[index]) and new[1]}
        )
    return [found[index] for index in range(len(paths))]


def _read(
    paths: Sequence[str | Path], to_read: Mapping[int, _Known | None], unreadable: str | None
) -> dict[int, tuple[str, _Known | None]]:
    """The digests of the files that must be read, by several threads, and their new cache entries."""

    def digest(index: int) -> tuple[str, _Known | None]:
        try:
            return _digest(paths[index], to_read[index])
        except OSError as error:
            if unreadable is not None:
                return unreadable, None
            reason = (error.strerror or str(error)).lower()
            raise DsdError(f"`{paths[index]}` cannot be read: {reason}") from error

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(to_read, pool.map(digest, to_read), strict=True))


def _state(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _name(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _stamp(state: os.stat_result) -> _Stamp:
    return _Stamp(state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _digest(path: str | Path, known: _Known | None) -> tuple[str, _Known | None]:
    """The digest of a file, and a new cache entry if there is none; of a known file only blocks are read."""
    with open_regular(path) as file:
        stamp = _stamp(os.fstat(file.fileno()))
        if known is not None and known.stamp == stamp and _sample(file, stamp.size) == known.sample:
            return known.content.hex(), None
        file.seek(0)
        content = hashlib.file_digest(file, "sha256").digest()
        sample = _sample(file, stamp.size)
        is_settled = _stamp(os.fstat(file.fileno())) == stamp and time.time_ns() - stamp.changed_ns > _FRESH_NS
    return content.hex(), _Known(stamp, content, sample) if is_settled else None


def _sample(file: BufferedReader, size: int) -> bytes:
    """A digest of blocks spread evenly over the file; of the whole file if it is small."""
    digest = hashlib.blake2b(digest_size=16)
    step = max(BLOCK_BYTES, (size - BLOCK_BYTES) // (SAMPLED_BLOCKS - 1))
    for start in range(0, size, step):
        file.seek(start)
        digest.update(file.read(BLOCK_BYTES))
    return digest.digest()


# --- the database -----------------------------------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[sqlite3.Connection | None]:
    """A connection to the cache of digests; None if that is impossible. A damaged database is deleted."""
    path = cache_folder() / "digests.sqlite"
    connection = _open(path)
    if connection is None:
        yield None
        return
    with closing(connection):
        yield connection


def _open(path: Path) -> sqlite3.Connection | None:
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} (device TEXT, inode TEXT, size TEXT, modified TEXT, changed TEXT,"
                " content BLOB, sample BLOB, seal BLOB, PRIMARY KEY (device, inode)) WITHOUT ROWID"
            )
        except (sqlite3.OperationalError, OSError):
            return None  # not writable, or locked for too long
        except sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()
            continue
        return connection
    return None


def _recall(database: sqlite3.Connection | None, names: Sequence[tuple[int, int]]) -> dict[tuple[int, int], _Known]:
    """The cache entries of the files with these devices and inodes; rows with a wrong checksum are left out."""
    found: dict[tuple[int, int], _Known] = {}
    if database is None:
        return found
    query = f"SELECT size, modified, changed, content, sample, seal FROM {_TABLE} WHERE device = ? AND inode = ?"
    try:
        for name in names:
            row = database.execute(query, tuple(str(part) for part in name)).fetchone()
            if row is not None and bytes(row[5]) == _seal(row[:5]):
                found[name] = _Known(_Stamp(*(int(part) for part in row[:3])), row[3], row[4])
    except (sqlite3.Error, TypeError, ValueError):
        return {}
    return found


def _remember(database: sqlite3.Connection | None, news: dict[tuple[int, int], _Known]) -> None:
    if database is None or not news:
        return
    rows: list[tuple[object, ...]] = []
    for name, known in news.items():
        row = (*(str(part) for part in known.stamp), known.content, known.sample)
        rows.append((*(str(part) for part in name), *row, _seal(row)))
    with suppress(sqlite3.Error), database:
        database.executemany(f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _seal(row: Sequence[object]) -> bytes:
    """A checksum of a row, so that a damaged one is detected."""
    return hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).digest()
