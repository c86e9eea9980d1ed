"""Writes to the standard streams, even if they are closed, full, broken or have a limited encoding.

If a result cannot be written, the tool prints a sentence and exits with 2. If the reader has read enough (`| head`), it
ends silently. :func:`guarded` maps everything else that a tool may raise to its exit status.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

from dsd_lang.base.errors import DsdError, internal_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_OUTPUT_IS_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


def guarded(program: str, body: Callable[[], int]) -> int:
    """Runs the body of a tool on usable streams; returns its exit status, whatever it raises.

    2 for a failed input or lost output (one sentence) and for a bug of ours (with its traceback), 1 if the reader of a
    pipe has left, 130 for Ctrl-C.
    """
    open_streams()
    try:
        try:
            return body()
        finally:
            flush_output()
    except DsdError as error:
        say_error(error, program)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        drop_streams()
        return 1
    except Exception as error:  # noqa: BLE001  (whatever else happens is a bug of ours, and told as one)
        if isinstance(error, OSError) and is_lost_output(error):
            say_error(lost_output(error), program)
        else:
            say(internal_error_text(program, error))
    return 2


class _Closed(io.TextIOBase):
    """Replaces a standard stream that was closed before the program started."""

    encoding = "utf-8"

    @property
    def buffer(self) -> _Closed:
        return self

    def write(self, text: object) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def read(self, size: int | None = -1) -> str:
        raise OSError(errno.EBADF, "it is closed")


def open_streams() -> None:
    """Makes `sys.stdin`, `sys.stdout` and `sys.stderr` usable if they are closed (Python sets them to None).

    Their file descriptors are occupied, so that a file opened later does not get one of them. Characters that a
    terminal cannot show are written as escapes.
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
    """Writes to a stream, with escapes for characters that its encoding lacks.

    Raises :class:`DsdError` if it cannot.
    """
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, name) from error


def write_bytes(data: bytes) -> None:
    """Writes bytes to stdout unchanged."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, "stdout") from error


def flush_output() -> None:
    """Flushes stdout while an error can still be reported; the language server closes it itself."""
    if sys.stdout.closed:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise lost_output(error, "stdout") from error


def is_lost_output(error: OSError) -> bool:
    """Whether an error is about a standard stream, and not about a file."""
    return error.filename is None and error.errno in _OUTPUT_IS_LOST


def lost_output(error: OSError, name: str = "the output") -> DsdError:
    """The error that output could not be written."""
    drop_streams()
    return DsdError(f"cannot write to {name}: {(error.strerror or str(error)).lower()}")


def drop_streams() -> None:
    """Discards buffered output that the streams cannot take; otherwise Python would fail on it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _lead_nowhere(stream)


def _lead_nowhere(stream: TextIO) -> None:
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return  # closed: Python has nothing to flush at exit
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def say(text: str) -> None:
    """Writes to stderr; does nothing if that is impossible."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        drop_streams()


def say_error(error: DsdError, program: str) -> None:
    """Prints an error and its help line on stderr."""
    say(f"{program}: {error.message}\n" + (f"  = help: {error.help}\n" if error.help else ""))
