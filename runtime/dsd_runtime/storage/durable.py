"""Writes files and folders atomically: complete or absent, whenever the process is killed. No torch.

Whatever is being written or deleted carries a temporary name on the way; :func:`remove_leftovers` clears what a killed
process left. Links are deleted, never what they point to. A checkpoint is a folder `<kind>-<number>` that is complete
when it holds its checksums.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError

COMPLETE_MARK = "checksums.json"
_TEMPORARY_PREFIX = ".writing-"
_TEMPORARY = re.compile(re.escape(_TEMPORARY_PREFIX) + r"(?:gone-)?(?P<name>.+)-\d+")


class DiskFull(DsdError):
    """No room for a file; what was saved before is untouched."""


def temporary(path: Path) -> Path:
    """The name beside ``path`` under which this process writes it."""
    return path.with_name(f"{_TEMPORARY_PREFIX}{path.name}-{os.getpid()}")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Gives the name to write ``path`` under, its folder made; puts the result in place when the block is left.

    Raises :class:`DiskFull` or :class:`DsdError` when the disk refuses; nothing half-written stays behind.
    """
    unfinished = temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _delete(unfinished)
        yield unfinished
        if unfinished.is_dir():
            flush_folder(unfinished)
            remove(path)
        os.replace(unfinished, path)
        flush_folder(path.parent)
    except BaseException as error:
        _delete(unfinished, ignore_errors=True)  # the failure itself is what is told
        if isinstance(error, OSError):
            raise write_failure(path, error) from error
        raise


def write_text(path: Path, text: str) -> None:
    """A UTF-8 file, flushed to the disk."""
    with writing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, data: Any) -> None:
    """A JSON file, flushed to the disk."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def remove(path: Path) -> None:
    """Deletes a file, a link, or a folder with all in it, if it is there.

    Raises :class:`DsdError` when that is not allowed.
    """
    aside = path.with_name(f"{_TEMPORARY_PREFIX}gone-{path.name}-{os.getpid()}")
    try:
        os.rename(path, aside)
        _delete(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DsdError(f"`{path}` could not be deleted: {(error.strerror or str(error)).lower()}") from error


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Deletes what a killed process left half-written or half-deleted in a folder, of names that are ours."""
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
    """Whether a checkpoint is there; its contents are verified when they are loaded."""
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


def write_failure(path: Path, error: Exception) -> DsdError:
    """What a failed write is called."""
    text = str(error).lower()
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or "no space left" in text or "quota exceeded" in text:
        return DiskFull(
            f"the disk is full: `{path}` could not be written", help="make room and run the same command again"
        )
    reason = (error.strerror or text).lower() if isinstance(error, OSError) else _reason(text)
    return DsdError(f"`{path}` could not be written: {reason}")


def _reason(text: str) -> str:
    """What the operating system said, out of another library's words for it."""
    number = re.search(r"\(os error (\d+)\)|\bcode: (\d+)", text)
    return os.strerror(int(number[1] or number[2])).lower() if number else text


def _delete(path: Path, *, ignore_errors: bool = False) -> None:
    """A link is deleted itself, what it points to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        with suppress(OSError if ignore_errors else FileNotFoundError):
            path.unlink()
