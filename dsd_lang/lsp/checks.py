"""Schedules one check of the latest version of a document, shortly after typing stops.

Garbage is collected between checks and not during them: scanning the many small objects of a large schedule would take
as long as the check.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

QUIET_SECONDS = 0.005  # keystrokes within this time are one change
SLOW_SECONDS = 0.2  # slow texts are checked after a longer delay
LONGEST_PAUSE_SECONDS = 0.5
IDLE_SECONDS = 0.03
MAX_CHECKED_SECONDS = 0.25  # the most time spent on checks between garbage collections


class Checks:
    """Pending checks, and the time that earlier ones took."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._pauses: dict[str, float] = {}
        self._collection: asyncio.TimerHandle | None = None
        self._checked_seconds = 0.0
        self._has_ended = False

    def later(self, uri: str) -> None:
        """Checks a document unless another change follows shortly."""
        if self._has_ended:
            return
        self.cancel(uri)
        pause = self._pauses.get(uri, QUIET_SECONDS)
        self._waiting[uri] = asyncio.get_running_loop().call_later(pause, self.now, uri)

    def now(self, uri: str) -> None:
        """Checks a document now."""
        self.cancel(uri)
        start = time.monotonic()
        try:
            self._check(uri)
        finally:
            self._measure(uri, time.monotonic() - start)

    def cancel(self, uri: str) -> None:
        """Cancels a pending check."""
        handle = self._waiting.pop(uri, None)
        if handle is not None:
            handle.cancel()

    def end(self) -> None:
        """Cancels all pending checks, and takes no more: nobody is told what they find."""
        for uri in list(self._waiting):
            self.cancel(uri)
        self._has_ended = True

    def forget(self, uri: str) -> None:
        """Forgets a closed document."""
        self.cancel(uri)
        self._pauses.pop(uri, None)

    def _measure(self, uri: str, seconds: float) -> None:
        """Derives the next delay, and when to collect garbage, from the time that the check took."""
        self._pauses[uri] = QUIET_SECONDS if seconds < SLOW_SECONDS else min(seconds, LONGEST_PAUSE_SECONDS)
        self._checked_seconds += seconds
        if self._collection is not None:
            self._collection.cancel()
        pause = IDLE_SECONDS if self._checked_seconds < MAX_CHECKED_SECONDS else 0.0
        self._collection = asyncio.get_running_loop().call_later(pause, self._collect)

    def _collect(self) -> None:
        self._checked_seconds = 0.0
        gc.collect(1)
