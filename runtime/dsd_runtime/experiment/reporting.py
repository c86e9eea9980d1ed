"""Keeps `metrics.jsonl` and `report.html` of a run folder up to date while it trains, if there is time for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dsd_lang.base.errors import DsdError, internal_error_text
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.metric_files import join_metrics
from dsd_runtime.results.report import write_report
from dsd_runtime.results.results import Results
from dsd_runtime.tracking.tracker import NodeInTraining, Sink

MOST_SHARE = 0.02
"""The share of a run's time that each of the two may take; a node that ends sooner is in the next."""


class UpToDate(Sink):
    """Writes both after every node and whenever progress is saved, the metrics after every evaluation.

    A report that cannot be written is told, and never ends the training.
    """

    def __init__(self, folder: RunFolder, keys: Iterable[str]) -> None:
        self._folder, self._nodes = folder, tuple(keys)
        self._metrics, self._both = _Sparingly(self._join), _Sparingly(self._join_and_report)

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        self._metrics()

    def saved(self, path: Path) -> None:
        """A node has ended, or is so far, when a checkpoint of it is complete."""
        if path.name.startswith(("end-", "progress-")):
            self.refresh()

    def refresh(self) -> None:
        """Something has changed in the folder."""
        self._both()

    def _join(self) -> None:
        join_metrics(self._folder, self._nodes)

    def _join_and_report(self) -> None:
        self._join()
        report_or_say_why(self._folder, is_running=True)


class _Sparingly:
    """An action that is left out where it would take more than its share of the time."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._ended = time.monotonic()
        self._took = 0.0

    def __call__(self) -> None:
        began = time.monotonic()
        if self._took > MOST_SHARE * (began - self._ended):
            return
        self._action()
        self._ended = time.monotonic()
        self._took = self._ended - began


def report_or_say_why(folder: RunFolder, results: Results | None = None, *, is_running: bool = False) -> bool:
    """Writes the report (of ``results``, if they are read already); where that fails says why, and returns False."""
    try:
        write_report(folder.root, results, is_running=is_running)
    except DsdError as error:
        print(f"note: the report was not written: {error}", file=sys.stderr)
    except Exception as error:  # noqa: BLE001  (a bug in a report must not end a training of days)
        print(f"note: the report was not written\n{internal_error_text('dsd-run', error)}", file=sys.stderr)
    else:
        return True
    return False
