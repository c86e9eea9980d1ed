"""A worker process of `--jobs`: reads what it needs on its standard input, and writes outcomes as JSON lines.

Its input has what to put into its environment, the order, and phases. It stops at the next update, with its progress
saved, when its input ends, so that it does not outlive the run.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from dsd_runtime.experiment.executors.order import WorkOrder

_MODULES = ("dsd_runtime.experiment.executors.workplace", "dsd_runtime.tracking.tensorboard")
"""What every worker needs, and what takes long to load."""


def main() -> None:
    """Runs until the input ends. What the user's code prints goes to the error stream."""
    _main()
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(0)  # as the workers of multiprocessing end: to take the modules down would take a second


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run tells its workers to stop
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    work: queue.Queue[Any] = queue.Queue()
    stopping = threading.Event()
    threading.Thread(target=_read, args=(work, stopping), daemon=True).start()
    for module in _MODULES:
        importlib.import_module(module)
    environment = work.get()
    text = work.get() if environment is not None else None
    if text is not None:
        from dsd_runtime.experiment.executors.order import WorkOrder

        os.environ.update(environment)
        _work(WorkOrder.from_json(text), work, stopping, answers)


def _work(order: WorkOrder, work: queue.Queue[Any], stopping: threading.Event, answers: TextIO) -> None:
    from dsd_runtime.experiment.executors.workplace import Workplace, set_up_failure

    try:
        place = Workplace(order, lambda text: _answer(answers, {"say": text}), stopping.is_set)
    except Exception as error:  # noqa: BLE001  (the run tells it)
        _answer(answers, {"unusable": set_up_failure(order, error)})
        return
    try:
        _answer(answers, {"ready": True})
        while (phase := work.get()) is not None:
            _answer(answers, place.train(phase))
    finally:
        place.close()


def _read(work: queue.Queue[Any], stopping: threading.Event) -> None:
    """One line a message: the environment, the order, then phases."""
    is_needed = False
    for line in sys.stdin:
        is_needed = True
        work.put(json.loads(line))
    if not is_needed:
        os._exit(0)  # perhaps while torch is being loaded
    stopping.set()
    work.put(None)


def _answer(answers: TextIO, data: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(data) + "\n")
        answers.flush()
    except BrokenPipeError:
        return  # the run is gone; its input has ended, too


if __name__ == "__main__":
    main()
