"""Starts worker processes; the first ones are forked off a command that has just loaded torch, and need not load it.

Only a process that has computed nothing with torch yet can be forked: no thread, no device. All others, in a program
that calls `run`, and those that replace a lost one, are started anew. No torch is imported here.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from dsd_runtime.experiment.quiet_threads import quiet_threads

_POLL_SECONDS = 0.01


class WorkerProcess(Protocol):
    """What is needed of a process: pipes for lines of text, and its end."""

    stdin: IO[str] | None
    stdout: IO[str] | None

    @property
    def returncode(self) -> int | None:
        """As of `subprocess.Popen`; None before :meth:`wait` has seen the end."""

    def kill(self) -> None:
        """Ends it at once."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; raises `subprocess.TimeoutExpired`."""


class _Forked:
    """A worker that has the modules of this process; it has no other pipes than its own."""

    def __init__(self, pipes: list[int]) -> None:
        """``pipes``: this process's ends of the pipes of all workers so far; those of the new one are added."""
        order, say = os.pipe(), os.pipe()
        pipes += [order[1], say[0]]
        self._pid = os.fork()
        if not self._pid:
            _work(order[0], say[1], pipes)
        os.close(order[0])
        os.close(say[1])
        self.stdin: IO[str] | None = os.fdopen(order[1], "w", encoding="utf-8")
        self.stdout: IO[str] | None = os.fdopen(say[0], encoding="utf-8")
        self.returncode: int | None = None
        self._waiting = threading.Lock()

    def kill(self) -> None:
        with self._waiting:
            if self.returncode is None:
                os.kill(self._pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._waiting:
                if self.returncode is None:
                    pid, status = os.waitpid(self._pid, os.WNOHANG)
                    self.returncode = os.waitstatus_to_exitcode(status) if pid else None
                if self.returncode is not None:
                    return self.returncode
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(_POLL_SECONDS)


_forked: list[_Forked] = []


@contextmanager
def forked(count: int) -> Iterator[None]:
    """Forks so many workers off; those that nobody has taken end with the block."""
    gc.freeze()  # what all have stays shared
    sys.stdout.flush()
    sys.stderr.flush()
    pipes: list[int] = []
    _forked.extend(_Forked(pipes) for _ in range(count))
    try:
        yield
    finally:
        for process in _forked:
            process.kill()
            process.wait()
        _forked.clear()


def can_fork() -> bool:
    """Whether workers can be forked off once torch is loaded: it is not yet, and the system's libraries bear it."""
    return sys.platform.startswith("linux") and "torch" not in sys.modules and threading.active_count() == 1


def worker_process() -> WorkerProcess:
    """A worker that waits for its order."""
    if _forked:
        return _forked.pop(0)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "dsd_runtime.experiment.executors.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**quiet_threads(os.environ, is_alone=False), **os.environ, "PYTHONPATH": _package_path()},
        start_new_session=True,  # Ctrl-C is for this process, which tells its workers
    )


def _work(order: int, say: int, others: list[int]) -> None:
    """What a forked process does until its end."""
    try:
        for other in others:
            os.close(other)
        os.setsid()
        os.dup2(order, 0)
        os.dup2(say, 1)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        from dsd_runtime.experiment.executors.worker import main

        main()
    finally:
        kind, error, trace = sys.exc_info()
        if kind is not None and error is not None:
            sys.excepthook(kind, error, trace)
        os._exit(0 if error is None else 1)


def _package_path() -> str:
    """PYTHONPATH with the folders of the packages that this process uses."""
    import dsd_lang
    import dsd_runtime

    own = [str(Path(package.__file__).parent.parent) for package in (dsd_lang, dsd_runtime) if package.__file__]
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(dict.fromkeys([*own, *(part for part in given.split(os.pathsep) if part)]))
