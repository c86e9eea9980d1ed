"""Writes files and folders atomically: complete or absent, whenever the process is killed. No torch.

Files have a temporary name while they are written or deleted; :func:`remove_leftovers` deletes those of a killed
process. Links are deleted, never their targets. A checkpoint is a folder `<kind>-<number>` that is complete if it has
its checksums.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError

COMPLETE_MARK = "checksums.json"
_MOST_WAITS = 8
_TEMPORARY_PREFIX = ".writing-"
_TEMPORARY = re.compile(re.escape(_TEMPORARY_PREFIX) + r"(?:gone-)?(?P<name>.+)-\d+")


class CannotWrite(DsdError):
    """A file could not be written or deleted; what was saved before is unchanged."""


class DiskFull(CannotWrite):
    """There is no space for a file."""


def temporary(path: Path) -> Path:
    """A new temporary name beside ``path``, which no other process on any machine uses."""
    return path.with_name(f"{_TEMPORARY_PREFIX}{path.name}-{secrets.randbits(64)}")


@contextmanager
def writing(path: Path, *, is_flushed: bool = True) -> Iterator[Path]:
    """Yields the temporary name for ``path``, with its folder created; renames it at the end of the block.

    The new name is flushed to the disk, unless it may be lost with the machine; the block flushes the contents. Raises
    :class:`DiskFull` or :class:`DsdError` if writing fails; no incomplete file remains.
    """
    unfinished = temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if unfinished.is_dir():
            remove(path)
        os.replace(unfinished, path)
        if is_flushed:
            flush_folder(path.parent)
    except BaseException as error:
        _delete(unfinished, ignore_errors=True)  # the original error is reported
        if isinstance(error, OSError):
            raise write_failure(path, error) from error
        raise


def write_text(path: Path, text: str, *, is_flushed: bool = True) -> None:
    """Writes a UTF-8 file, flushed to the disk unless it is a record that a run can do without."""
    with writing(path, is_flushed=is_flushed) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        if is_flushed:
            file.flush()
            os.fsync(file.fileno())


def write_where_told(path: Path, text: str) -> None:
    """Writes a UTF-8 file that a user has named: into a pipe or device, to a link's target; else as a whole.

    Raises :class:`DsdError` for a folder, and if writing fails.
    """
    if path.is_dir():
        raise DsdError(f"`{path}` is a folder", help="give the name of a file")
    if not path.exists() or path.is_file():
        write_text(path.resolve(), text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_failure(path, error) from error


def write_json(path: Path, data: Any, *, is_flushed: bool = True) -> None:
    """Writes a JSON file as :func:`write_text` does."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n", is_flushed=is_flushed)


def remove(path: Path) -> None:
    """Deletes a file, a link, or a folder with its contents, if it exists.

    Raises :class:`DsdError` if that is not allowed.
    """
    aside = temporary(path.with_name(f"gone-{path.name}"))
    try:
        os.rename(path, aside)
        _delete(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CannotWrite(f"`{path}` could not be deleted: {(error.strerror or str(error)).lower()}") from error


def publish(path: Path, target: Path) -> bool:
    """Moves a complete file or folder to a name that nothing has yet; returns whether it did, and never replaces.

    Two processes may publish the same result: the first one's stays.
    """
    try:
        if path.is_dir():
            os.rename(path, target)  # fails for a folder that is not empty
        else:
            os.link(path, target)
            path.unlink()
    except OSError as error:
        if target.exists():
            return False
        if path.is_dir() or error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise write_failure(target, error) from error
        os.rename(path, target)  # a file system without links
    return True


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Deletes incomplete files of a killed process in a folder, only with names that dsd uses."""
    for path in sorted(folder.glob(f"{_TEMPORARY_PREFIX}*")):
        match = _TEMPORARY.fullmatch(path.name)
        if match is not None and is_ours(match["name"]):
            _delete(path)


def numbered(folder: Path, kind: str) -> list[Path]:
    """The complete checkpoints `<kind>-<number>` in a folder, the latest last."""
    found = [path for path in folder.glob(f"{kind}-*") if path.name[len(kind) + 1 :].isdigit() and is_complete(path)]
    return sorted(found, key=number_of)


def number_of(checkpoint: Path) -> int:
    """The number in a checkpoint's name."""
    return int(checkpoint.name.rpartition("-")[2])


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint is complete; its contents are verified when they are loaded."""
    return (checkpoint / COMPLETE_MARK).is_file()


def flush_file(path: Path) -> None:
    """Waits until a file's contents are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Waits until a folder's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_together(paths: Iterable[Path]) -> None:
    """Waits until files and folders are on the disk; all at a time, as a file system writes its journal once for many.

    One after another takes a wait for the disk each, several times as long.
    """
    pool = _waiting(os.getpid())
    for done in [pool.submit(flush_folder if path.is_dir() else flush_file, path) for path in paths]:
        done.result()


@cache
def _waiting(process: int) -> ThreadPoolExecutor:
    """Threads that wait for the disk; a process that was forked off needs its own."""
    return ThreadPoolExecutor(_MOST_WAITS, thread_name_prefix=f"flush-{process}")


def write_failure(path: Path, error: Exception) -> CannotWrite:
    """The error for a failed write."""
    text = str(error).lower()
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or "no space left" in text or "quota exceeded" in text:
        return DiskFull(
            f"the disk is full: `{path}` could not be written", help="make room and run the same command again"
        )
    reason = (error.strerror or text).lower() if isinstance(error, OSError) else _reason(text)
    return CannotWrite(f"`{path}` could not be written: {reason}")


def _reason(text: str) -> str:
    """The operating system's reason, from another library's message."""
    number = re.search(r"\(os error (\d+)\)|\bcode: (\d+)", text)
    return os.strerror(int(number[1] or number[2])).lower() if number else text


def _delete(path: Path, *, ignore_errors: bool = False) -> None:
    """Deletes a path; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        with suppress(OSError if ignore_errors else FileNotFoundError):
            path.unlink()
