"""Reads files given by a user, with a size limit, and without blocking on devices and endless streams."""

from __future__ import annotations

import os
import stat

from dsd_lang.base.errors import DsdError

SUFFIX = ".dsd"
MAX_BYTES = 10_000_000
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_limited(path: str) -> bytes:
    """The bytes of a file or pipe; raises :class:`DsdError` if it cannot be read or is larger than 10 MB."""
    try:
        with open(path, "rb") as file:
            return checked_size(file.read(MAX_BYTES + 1), path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def checked_size(data: bytes, name: str) -> bytes:
    """The bytes; raises an error if there are more than a schedule may have."""
    if len(data) > MAX_BYTES:
        raise DsdError(
            f"`{name}` is larger than {MAX_BYTES // 1_000_000} MB, so it is not read",
            help="a schedule has a few kilobytes: check that this is the right file",
        )
    return data


def unreadable(path: str, error: OSError | ValueError) -> DsdError:
    """A sentence that says why a file cannot be read."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return DsdError(f"cannot read `{path}`: {reason.lower()}")


def not_a_file(path: str) -> str | None:
    """What a path is if it is not a file: `a pipe`, `a link to nothing`; None for a file."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return (
            "a link to nothing" if os.path.islink(path) else f"not readable ({(error.strerror or str(error)).lower()})"
        )
    return next((name for is_kind, name in _KINDS if is_kind(mode)), None)


def read_if_file(path: str) -> bytes | None:
    """The bytes of a regular file; None if the path does not exist or is something else. Raises ``OSError``."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    with open(path, "rb") as file:
        return file.read(MAX_BYTES)


def read_schedule(path: str | os.PathLike[str]) -> str:
    """The text of a schedule file, UTF-8."""
    if not os.path.lexists(path):
        raise DsdError(f"there is no file `{path}`")
    try:
        return read_limited(os.fspath(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DsdError(
            f"`{path}` is not UTF-8 text: byte {error.start} cannot be read", help="save the file as UTF-8"
        ) from error
