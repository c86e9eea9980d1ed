"""Reads a data set's text file."""

from __future__ import annotations

from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import read_regular


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; DsdError if it is not a regular file, cannot be read, or is not UTF-8."""
    try:
        return read_regular(path).decode("utf-8")
    except OSError as error:
        raise DsdError(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise DsdError(f"`{path}` is not UTF-8 (byte {error.start})", help="save it as UTF-8") from error
