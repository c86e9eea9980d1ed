"""Leases: which process trains a node now, and which processes work on a run folder.

A lease is a file that its holder touches every few seconds. That of a process that has ended is free at once on the
same machine; that of a machine that is gone is free when nobody has touched it for :data:`LEASE_SECONDS`, by the clock
of the one who waits. A lease avoids double work and nothing else: a holder that stood still for so long goes on beside
its successor, and whoever ends first has trained the node (see attempts.py).
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage.durable import CannotWrite, remove

LEASE_SECONDS = 30.0
"""After so long without a sign of life a lease is free. All processes on one folder must agree on it."""
_SECTION_SECONDS = 120.0
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 1.0


class Lease:
    """One claim on something in a run folder, a file in its `leases`; not held at first.

    Keep the object while you wait for another's lease: how long that gives no sign of life is counted here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = SoftFileLease(path, lease_duration=LEASE_SECONDS, poll_interval=_POLL_SECONDS)
        self._seen_empty: tuple[tuple[int, int], float] | None = None

    def take(self, *, wait: float = 0.0) -> bool:
        """Whether it is ours now; waits at most so many seconds. Raises :class:`DsdError` if it cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._is_taken(time.monotonic() + wait)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            folder = self._path.parent.parent
            raise CannotWrite(f"cannot write to `{folder}`: {why}", help="choose another `--out`") from error

    def _is_taken(self, until: float) -> bool:
        while True:
            try:
                self._lock.acquire(timeout=max(0.0, min(_LOOK_SECONDS, until - time.monotonic())))
            except Timeout:
                if not self._is_broken_if_nobody_s() and time.monotonic() >= until:
                    return False
            else:
                return True

    def _is_broken_if_nobody_s(self) -> bool:
        """Takes away a file that has been empty for too long, which filelock never does.

        Its holder was killed, or lost power, between creating the file and writing into it.
        """
        try:
            found = self._path.stat()
            mark = (found.st_ino, found.st_ctime_ns)
            if found.st_size:
                self._seen_empty = None
            elif self._seen_empty is None or self._seen_empty[0] != mark:
                self._seen_empty = mark, time.monotonic()
            elif time.monotonic() - self._seen_empty[1] > LEASE_SECONDS:
                remove(self._path)
                return True
        except FileNotFoundError:
            return False
        return False

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken it over, because this one gave no sign of life."""
        return self._lock.compromise is not None

    def give_back(self) -> None:
        """Frees it; one that was lost stays its new holder's."""
        with suppress(OSError):  # the folder may be gone
            self._lock.release()


class Membership:
    """The processes that train in one run folder, each with a lease of its own."""

    def __init__(self, leases: Path) -> None:
        self._leases = leases
        self._own: Path | None = None

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Inside the block others see that this process works on the folder."""
        self._own = self._leases / f"run-{secrets.token_hex(8)}.lock"
        lease = Lease(self._own)
        lease.take()
        try:
            yield
        finally:
            lease.give_back()
            self._own = None

    def others(self, *, watch: bool = False) -> int:
        """How many others work on the folder; leases of dead ones are deleted.

        A machine that is gone is known only after :data:`LEASE_SECONDS`; with ``watch`` it is waited for.
        """
        found = [Lease(path) for path in sorted(self._leases.glob("run-*.lock")) if path != self._own]
        until = time.monotonic() + (LEASE_SECONDS + 1.0 if watch else 0.0)
        while True:
            found = [lease for lease in found if not _is_free(lease)]
            if not found or time.monotonic() >= until:
                return len(found)
            time.sleep(_POLL_SECONDS * 4)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For what one process does at a time: the folder's plan, its manifest, its results."""
        lease = Lease(self._leases / "folder.lock")
        if not lease.take(wait=max(_SECTION_SECONDS, 2 * LEASE_SECONDS)):
            raise DsdError(
                f"another process has been writing the plan or the results of `{self._leases.parent}` for "
                f"{_SECTION_SECONDS:.0f} seconds",
                help="wait for it, or choose another `--out`",
            )
        try:
            yield
        finally:
            lease.give_back()


def is_in_use(leases: Path) -> bool:
    """Whether a process seems to train in the folder; for reading, also where nothing can be written."""
    try:
        return Membership(leases).others() > 0
    except DsdError:
        newest = max((path.stat().st_mtime for path in leases.glob("run-*.lock")), default=0.0)
        return time.time() - newest < 2 * LEASE_SECONDS


def _is_free(lease: Lease) -> bool:
    if not lease.take():
        return False
    lease.give_back()
    return True


def holder() -> str:
    """The name under which this process shows what it trains: `host:process`."""
    return f"{os.uname().nodename}:{os.getpid()}"
