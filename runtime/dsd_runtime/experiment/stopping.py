"""Stops a run between two updates, on Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """A run was stopped by a signal; its progress is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class StopRequest:
    """Set by Ctrl-C or SIGTERM; the run ends after the current update. A second Ctrl-C ends it at once."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self.signal: int | None = None
        self._is_quiet = is_quiet

    def __call__(self) -> bool:
        return self.signal is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        if not self._is_quiet:
            os.write(2, b"stopping at the next update ...\n")  # print() may have been interrupted

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the two signals inside the block; only the main thread of a program can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:  # one that is not Python's cannot be given back
                    signal.signal(number, handler)
