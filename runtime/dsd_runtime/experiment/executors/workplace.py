"""Trains single nodes of a run for another process, as its order says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.failures import failure_as_data
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.node_training import NodeTrainer
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.recorders import recorders
from dsd_runtime.experiment.setup import prepare
from dsd_runtime.experiment.threads import Threads, computing_on
from dsd_runtime.tracking.console import LinesOnly
from dsd_runtime.tracking.tracker import Tracker
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.training.loop import Stopped

_LOOK_FOR_STOP_SECONDS = 0.5


class Workplace:
    """A process set up for a run: data open, model to be built once; its lines of progress go to ``say``."""

    def __init__(self, order: WorkOrder, say: Callable[[str], None], is_stopping: Callable[[], bool]) -> None:
        self._say, self._is_stopping, self._stop_mark = say, is_stopping, order.stop_mark
        self._looked = 0.0
        self._is_marked = False
        self._names = {"model": order.resolved.model_name, "data": order.resolved.data_spec}
        self._open = ExitStack()
        if order.working_folder.is_dir():
            os.chdir(order.working_folder)
        sys.path[:] = order.python_path
        self._open.enter_context(warnings_told(say))
        try:
            self._set_up(order)
        except BaseException:
            self._open.close()
            raise

    def _set_up(self, order: WorkOrder) -> None:
        prepared = prepare(order.request, order.resolved)
        threads = order.setting["threads"]
        setting = replace(prepared.setting, threads=threads)
        _require_same(asdict(setting), order.setting)
        prepared = replace(prepared, setting=setting)
        self._open.enter_context(computing_on(Threads(threads, threads or 1, "")))
        assert order.request.out is not None
        run = OpenRun.of(prepared, RunFolder(order.request.out))
        self._tracker = Tracker((LinesOnly(self._say), *recorders(prepared, run.folder, run.keys, is_shared=True)))
        self._open.callback(self._tracker.close)
        self._trainer = NodeTrainer(run, self._tracker, should_stop=self._should_stop, shorter=order.shorter)
        self._phases = {phase.id: phase for phase in prepared.plan.phases}

    def train(self, phase: str) -> dict[str, Any]:
        """Trains a phase; returns its outcome as plain data."""
        try:
            metrics = self._trainer.train(self._phases[phase])
        except Stopped:
            return {"phase": phase, "kind": "stopped"}
        except Exception as error:  # noqa: BLE001  (the process that gave the order tells it)
            return {"phase": phase, "kind": "failed", "error": failure_as_data(error, **self._names)}
        if metrics is None:
            return {"phase": phase, "kind": "elsewhere"}
        return {"phase": phase, "kind": "trained", "metrics": metrics}

    def close(self) -> None:
        """Writes what is buffered."""
        self._open.close()

    def _should_stop(self) -> bool:
        if self._is_stopping():
            return True
        now = time.monotonic()
        if not self._is_marked and now - self._looked > _LOOK_FOR_STOP_SECONDS:
            self._looked, self._is_marked = now, self._stop_mark.exists()
        return self._is_marked


def set_up_failure(order: WorkOrder, error: Exception) -> dict[str, Any]:
    """Why a workplace could not be set up, as plain data."""
    return failure_as_data(error, model=order.resolved.model_name, data=order.resolved.data_spec)


def _require_same(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises :class:`DsdError` if this process would train something else than the one that gave the order."""
    for name, value in wanted.items():
        if own.get(name) != value:
            raise DsdError(
                f"`{name}` is {own.get(name)} in a worker process on {os.uname().nodename}, and {value} in the run",
                help="give all machines the same data, devices and version of dsd",
            )


_places: dict[str, Workplace] = {}


def train_for_another(order: str, phase: str) -> dict[str, Any]:
    """A task of a cluster: trains a phase, and keeps the workplace for the next one in this process."""
    parsed = WorkOrder.from_json(order) if order not in _places else None
    if parsed is not None:
        try:
            _places[order] = Workplace(parsed, lambda text: None, lambda: False)
        except Exception as error:  # noqa: BLE001  (the run tells it)
            return {"phase": phase, "kind": "failed", "error": set_up_failure(parsed, error)}
    return _places[order].train(phase)
