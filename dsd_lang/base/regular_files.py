"""Opens a path only if it is a regular file, so that no device is opened and no pipe blocks."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(DsdError):
    """The path is a folder, a pipe, a socket or a device."""


def open_regular(path: str | Path) -> BufferedReader:
    """Opens the file for reading bytes; symbolic links are followed.

    Raises :class:`NotRegular` for anything but a regular file, and :class:`OSError` if it cannot be opened. The type is
    checked before opening, because opening some devices has effects, and again afterwards.
    """
    _require_regular(path, os.stat(path))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require_regular(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_regular(path: str | Path) -> bytes:
    """All bytes of a regular file; raises like :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def require_regular(path: str | Path) -> None:
    """Raises :class:`NotRegular` for a path that is not a regular file, and :class:`OSError` if it does not exist."""
    _require_regular(path, os.stat(path))


def _require_regular(path: str | Path, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(state.st_mode)), "no file")
        raise NotRegular(f"`{path}` is {kind}, not a regular file", help="give the path of a regular file")
