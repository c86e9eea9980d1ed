"""Skips broken files with one warning each, up to a limit; beyond it raises an error."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

from dsd_lang.base.errors import DsdError


class BrokenFileWarning(RuntimeWarning, UserWarning):
    """A warning about a file that was left out."""


class BrokenFiles:
    """The unreadable files of one data set so far; may be called from several threads."""

    def __init__(self, kind: str, *, num_files: int, allowed: int, help: str = "repair or remove them") -> None:
        """``kind`` is the name of the files (`images`); up to ``allowed`` of ``num_files`` may be broken."""
        self._kind = kind
        self._num_files = num_files
        self._allowed = allowed
        self._help = help
        self._reasons: dict[Path, str] = {}
        self._lock = threading.Lock()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The broken files in the order they were found."""
        return tuple(self._reasons)

    def report(self, path: Path, reason: str) -> None:
        """Counts the file and warns; ``reason`` names it.

        Raises DsdError with the first and last one if there are too many.
        """
        with self._lock:
            is_new = path not in self._reasons
            self._reasons[path] = reason
            count, first = len(self._reasons), next(iter(self._reasons.values()))
        if count > self._allowed:
            raise DsdError(
                f"{count} of {self._num_files} {self._kind} are broken ({self._allowed} allowed); the first: {first}"
                + (f"; the last: {reason}" if count > 1 else ""),
                help=self._help,
            )
        if is_new:
            warnings.warn(f"{reason}; it is left out", BrokenFileWarning, stacklevel=3)
