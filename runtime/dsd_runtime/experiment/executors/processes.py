"""Trains in worker processes of this machine (`--jobs N`), which are told what to do in JSON lines."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.executors.executor import MOST_TRIES, Outcome
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.executors.starting import WorkerProcess, worker_process
from dsd_runtime.experiment.failures import failure_from_data

_END_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    process: WorkerProcess
    last: str | None = None
    busy: str | None = None
    is_ready: bool = False

    def tell(self, data: Any) -> None:
        """Sends a message; a worker that is gone is noticed by its end."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(data) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return


class Processes:
    """A pool of processes; each keeps its model and data from phase to phase."""

    name = ""
    is_here = False

    def __init__(self, order: WorkOrder, count: int, *, devices: int, say: Callable[[str], None]) -> None:
        self._order, self._count, self._say, self._devices = order, count, say, devices
        self._answers: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
        self._tries: dict[str, int] = {}
        self._lost_at_start = 0
        self._is_cancelled = False
        self._workers: list[_Worker] = []

    @property
    def idle(self) -> Sequence[str | None]:
        if not self._workers:
            return (None,) * self._count
        return [worker.last for worker in self._workers if worker.busy is None]

    def submit(self, phase: str, after: str | None) -> None:
        """Begins to train a phase, on the worker that trained ``after`` last; the first one starts all workers."""
        if not self._workers:
            self._workers = [self._started(number) for number in range(self._count)]
        worker = next(worker for worker in self._workers if worker.busy is None and worker.last == after)
        worker.busy = phase
        worker.tell(phase)

    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended; the first answer is waited for, at most so many seconds."""
        found: list[Outcome] = []
        until = time.monotonic() + seconds
        while not found:
            try:
                worker, answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            found += self._heard(worker, answer)
        return found

    def cancel(self) -> None:
        """Ends the workers' input, on which they stop at their next update."""
        self._is_cancelled = True
        for worker in self._workers:
            _end_input(worker)

    def close(self) -> None:
        """Lets idle workers end, and kills those that do not."""
        for worker in self._workers:
            _end_input(worker)
            if worker.busy is not None and not self._is_cancelled:
                worker.process.kill()
        for worker in self._workers:
            try:
                worker.process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    # --- workers ------------------------------------------------------------------------------------------------------

    def _started(self, number: int) -> _Worker:
        worker = _Worker(number, worker_process())
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        worker.tell(self._environment(number))
        worker.tell(self._order.to_json())
        return worker

    def _environment(self, number: int) -> dict[str, str]:
        """What a worker puts into its environment: one GPU for each in turn."""
        if not self._devices:
            return {}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(self._devices)))
        names = visible.split(",")
        return {"CUDA_VISIBLE_DEVICES": names[number % len(names)]}

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            self._answers.put((worker, json.loads(line)))
        worker.process.wait()
        self._answers.put((worker, None))

    def _heard(self, worker: _Worker, answer: Mapping[str, Any] | None) -> list[Outcome]:
        if answer is None:
            return self._lost(worker)
        if "say" in answer:
            self._say(answer["say"])
            return []
        if "unusable" in answer:
            raise failure_from_data(answer["unusable"])
        if "ready" in answer:
            worker.is_ready = True
            self._lost_at_start = 0
            return []
        worker.last, worker.busy = worker.busy, None
        return [Outcome.from_data(answer)]

    def _lost(self, worker: _Worker) -> list[Outcome]:
        """A worker has ended: its phase is tried again in a new one, which resumes it."""
        phase, code = worker.busy, worker.process.wait()
        worker.busy = None
        if self._is_cancelled:
            return [] if phase is None else [Outcome(phase, "stopped")]
        if not worker.is_ready:
            self._lost_at_start += 1
            if code >= 0 or self._lost_at_start >= MOST_TRIES:
                raise DsdError(
                    f"a worker process {_how(code)} before it could train",
                    help="look at what it printed above, if it did; is the memory enough for so many `--jobs`?",
                )
        self._workers[self._workers.index(worker)] = replacement = self._started(worker.number)
        if phase is None:
            return []
        self._tries[phase] = self._tries.get(phase, 1) + 1
        if self._tries[phase] > MOST_TRIES:
            text = f"phase `{phase}`: {MOST_TRIES} worker processes in turn were lost, the last one {_how(code)}"
            return [Outcome(phase, "failed", error=DsdError(text, help="is the memory enough for so many `--jobs`?"))]
        self._say(f"note: a worker process {_how(code)}; phase `{phase}` goes on in a new one")
        replacement.busy = phase
        replacement.tell(phase)
        return []


def _end_input(worker: _Worker) -> None:
    assert worker.process.stdin is not None
    try:
        worker.process.stdin.close()
    except BrokenPipeError:
        return


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
