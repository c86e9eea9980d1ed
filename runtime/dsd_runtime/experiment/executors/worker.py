"""A worker process of `--jobs`: reads an order and phases on its standard input, and writes outcomes as JSON lines.

It stops at the next update, with its progress saved, when its input ends, so that it does not outlive the run.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any, TextIO

from dsd_runtime.experiment.executors.order import WorkOrder


def main() -> None:
    """Runs until the input ends. What the user's code prints goes to the error stream."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run tells its workers to stop
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    work: queue.Queue[str | None] = queue.Queue()
    stopping = threading.Event()
    threading.Thread(target=_read, args=(work, stopping), daemon=True).start()
    text = work.get()
    if text is not None:
        _work(WorkOrder.from_json(text), work, stopping, answers)


def _work(order: WorkOrder, work: queue.Queue[str | None], stopping: threading.Event, answers: TextIO) -> None:
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


def _read(work: queue.Queue[str | None], stopping: threading.Event) -> None:
    """One line a message: the order, then phases."""
    for line in sys.stdin:
        work.put(json.loads(line))
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
