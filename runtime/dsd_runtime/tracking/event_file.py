"""An event file for TensorBoard, written by the thread that trains: a failure is raised where it happens.

The contents are those of torch's `SummaryWriter`, which has a thread for each file and waits for it at every flush.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter

from dsd_runtime.storage.durable import write_failure

_VERSION = "brain.Event:2"
_numbers = itertools.count()
"""TensorBoard reads the files of a folder in the order of their names."""


class EventFile:
    """A new file in a folder. With ``purge_step`` TensorBoard forgets the events of earlier files from there on."""

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers):06d}"
        self._path = folder / f"events.out.tfevents.{name}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._records = RecordWriter(self._path.open("xb"))
        except OSError as error:
            raise write_failure(self._path, error) from error
        self._write(Event(file_version=_VERSION))
        self._write(Event(step=purge_step, file_version=_VERSION))
        self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, summary: Any, step: int = 0) -> None:
        """Writes a summary of `torch.utils.tensorboard.summary`."""
        self._write(Event(step=step, summary=summary))

    def flush(self) -> None:
        """Gives what is buffered to the operating system, so that TensorBoard sees it."""
        try:
            self._records.flush()
        except OSError as error:
            raise write_failure(self._path, error) from error

    def close(self) -> None:
        """Writes the rest."""
        try:
            self._records.close()
        except OSError as error:
            raise write_failure(self._path, error) from error

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            raise write_failure(self._path, error) from error
