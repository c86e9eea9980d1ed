"""Writes `report.html` while a run trains: after every node and whenever progress is saved, if there is time for it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dsd_lang.base.errors import DsdError, internal_error_text
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.report import write_report
from dsd_runtime.results.results import Results
from dsd_runtime.tracking.tracker import Sink

MOST_SHARE = 0.05
"""The share of a run's time that its reports may take; a node that ends sooner is in the next report."""


class ReportFile(Sink):
    """Keeps the report up to date. A report that cannot be written is told, and never ends the training."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._ended = time.monotonic()
        self._took = 0.0

    def saved(self, path: Path) -> None:
        """A node has ended, or is so far, when a checkpoint of it is complete."""
        waited = time.monotonic() - self._ended
        if path.name.startswith(("end-", "progress-")) and self._took <= MOST_SHARE * waited:
            self._write()

    def _write(self) -> None:
        began = time.monotonic()
        report_or_say_why(self._folder, is_running=True)
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
