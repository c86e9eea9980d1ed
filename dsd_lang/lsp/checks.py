"""Changes of documents in, one check of the last version out, a moment after typing stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

QUIET_SECONDS = 0.005
LONGEST_SECONDS = 0.5


class Checks:
    """What waits to be checked. A text that takes long to check is checked after a longer pause."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._pauses: dict[str, float] = {}

    def later(self, uri: str) -> None:
        """Check a document when no other change of it follows at once."""
        self.cancel(uri)
        loop = asyncio.get_running_loop()
        self._waiting[uri] = loop.call_later(self._pauses.get(uri, QUIET_SECONDS), self.now, uri)

    def now(self, uri: str) -> None:
        """Check a document."""
        self.cancel(uri)
        start = time.monotonic()
        self._check(uri)
        spent = time.monotonic() - start
        self._pauses[uri] = QUIET_SECONDS if spent < 0.2 else min(spent, LONGEST_SECONDS)

    def cancel(self, uri: str) -> None:
        """Leave a check that waits undone."""
        handle = self._waiting.pop(uri, None)
        if handle is not None:
            handle.cancel()

    def forget(self, uri: str) -> None:
        """A document that is closed."""
        self.cancel(uri)
        self._pauses.pop(uri, None)
