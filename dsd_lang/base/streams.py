"""Writes to the standard streams even if they are closed, full, broken or have a limited encoding.

A result that cannot be written is a sentence and exit 2; a reader that has read enough (`| head`) ends a tool quietly.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from dsd_lang.base.errors import DsdError

_OUTPUT_IS_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


class _Closed(io.TextIOBase):
    """Stands in for a stream that was closed before the program began."""

    encoding = "utf-8"

    @property
    def buffer(self) -> _Closed:
        return self

    def write(self, text: object) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def read(self, size: int | None = -1) -> str:
        raise OSError(errno.EBADF, "it is closed")


def open_streams() -> None:
    """Makes `sys.stdin`, `sys.stdout` and `sys.stderr` usable: Python has None for one that is closed.

    The numbers of closed ones are taken, so that no file that is opened later is written to by accident. Characters
    that a terminal cannot show are written as escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            _take(number)
            nowhere = open(os.devnull, "w", encoding="utf-8") if name == "stderr" else _Closed()  # noqa: SIM115
            setattr(sys, name, nowhere)
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _take(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def write_to_stream(stream: TextIO, text: str, name: str) -> None:
    """Writes to a stream; what its encoding lacks as escapes. Raises :class:`DsdError` where it cannot."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, name) from error


def write_bytes(data: bytes) -> None:
    """Writes to stdout as it is."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, "stdout") from error


def flush_output() -> None:
    """Writes what `print` has left in the buffer, as long as somebody can be told that it cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, "stdout") from error


def is_lost_output(error: OSError) -> bool:
    """Whether an error is about a stream, and not about a file that has a name."""
    return error.filename is None and error.errno in _OUTPUT_IS_LOST


def lost_output(error: OSError, name: str = "the output") -> DsdError:
    """What to say when nothing can be written any more."""
    drop_streams()
    return DsdError(f"cannot write to {name}: {(error.strerror or str(error)).lower()}")


def drop_streams() -> None:
    """Leads what is still buffered nowhere, where the streams cannot take it: Python would fail over it at the end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _lead_nowhere(stream)


def _lead_nowhere(stream: TextIO) -> None:
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return  # not connected to anything: Python has nothing to flush at the end
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def say(text: str) -> None:
    """Writes to stderr; where that is impossible there is nobody to tell."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        drop_streams()


def say_error(error: DsdError, program: str) -> None:
    """One sentence on stderr, and what to do."""
    say(f"{program}: {error.message}\n" + (f"  = help: {error.help}\n" if error.help else ""))
