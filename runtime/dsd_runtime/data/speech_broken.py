"""Broken files: each is named once in a warning and passed over, up to a share of the set; beyond it an error."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

from dsd_lang.errors import DsdError
from dsd_runtime.data.audio import BrokenAudioError


class BrokenFiles:
    """The files of one data set that could not be read so far; safe to report to from several threads."""

    def __init__(self, *, num_files: int, largest_share: float) -> None:
        self._allowed = int(num_files * largest_share)
        self._num_files = num_files
        self._errors: dict[Path, BrokenAudioError] = {}
        self._lock = threading.Lock()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The broken files in the order they were met."""
        return tuple(self._errors)

    def report(self, path: Path, error: BrokenAudioError) -> None:
        """Count the file and warn; DsdError naming the first one when there are too many."""
        with self._lock:
            is_new = path not in self._errors
            self._errors[path] = error
        if len(self._errors) > self._allowed:
            first = next(iter(self._errors.values()))
            raise DsdError(
                f"{len(self._errors)} of {self._num_files} audio files are broken ({self._allowed} allowed); "
                f"the first: {first.message}",
                help="repair or remove them, or allow a larger share with `max_broken`",
            )
        if is_new:
            warnings.warn(f"{error.message}; it is left out", RuntimeWarning, stacklevel=3)
