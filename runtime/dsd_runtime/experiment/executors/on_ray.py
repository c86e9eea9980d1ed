"""Trains as tasks of a Ray cluster (`--ray ADDRESS`, `--ray local`); the run folder is on a shared file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.executors.executor import MOST_TRIES, Outcome
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.executors.workplace import train_for_another

_MOST_WAITING = 256
"""So many tasks are with Ray at most; more would only wait there."""


class OnRay:
    """The executor of `--ray`. Ray decides where a task runs; a task resumes what an earlier one has saved.

    Tasks whose worker was lost are begun again here and not by Ray, which would say so in its own words. A failure of
    the training itself is never tried again.
    """

    name = "Ray"
    is_here = False

    def __init__(self, order: WorkOrder, address: str, *, is_on_gpu: bool, say: Callable[[str], None]) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            raise DsdError(
                "`--ray` needs `ray`, which is not installed", help="run: pip install 'dsd-lang[ray]'"
            ) from error
        self._ray: Any = ray
        self._order, self._address = order, address
        self._say = say
        self._begun: dict[Any, str] = {}
        self._tries: dict[str, int] = {}
        self._is_cancelled = False
        try:
            ray.init(None if address == "local" else address, log_to_driver=False, include_dashboard=False,
                     configure_logging=False)  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            told = " ".join(str(error).split())
            raise DsdError(
                f"no Ray cluster answers at `{address}`: {told}", help="start one, or use `--ray local`"
            ) from error
        self._text = ray.put(order.to_json())
        threads = order.setting["threads"] or 1
        self._task = ray.remote(num_cpus=threads, num_gpus=1 if is_on_gpu else 0, max_retries=0)(train_for_another)
        errors = ray.exceptions
        self._losses = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError)

    @property
    def idle(self) -> Sequence[str | None]:
        return (None,) * (_MOST_WAITING - len(self._begun))

    def submit(self, phase: str, after: str | None) -> None:
        """Gives the phase to Ray, which chooses the worker."""
        self._begun[self._task.remote(self._text, phase)] = phase

    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended within the time."""
        if not self._begun:
            return []
        ended, _ = self._ray.wait(list(self._begun), num_returns=1, timeout=seconds)
        found = [self._outcome(task, self._begun.pop(task)) for task in ended]
        return [outcome for outcome in found if outcome is not None]

    def cancel(self) -> None:
        """Running tasks see the stop mark; those that wait are cancelled."""
        self._is_cancelled = True
        self._order.stop_mark.touch()

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _outcome(self, task: Any, phase: str) -> Outcome | None:
        """What became of a phase; None if it was begun again."""
        try:
            return Outcome.from_data(self._ray.get(task))
        except self._losses as error:
            return self._lost(phase, error)
        except self._ray.exceptions.RayError as error:
            told = " ".join(str(error).split())
            return Outcome(
                phase, "failed", error=DsdError(f"Ray could not train it: {told}", help="look at Ray's logs")
            )

    def _lost(self, phase: str, error: Exception) -> Outcome | None:
        """A worker has ended: its phase is tried again in another one, which resumes it."""
        if self._is_cancelled:
            return Outcome(phase, "stopped")
        self._tries[phase] = self._tries.get(phase, 1) + 1
        if self._tries[phase] <= MOST_TRIES:
            self._say(f"note: a worker of Ray was lost; phase `{phase}` goes on in another one")
            self.submit(phase, None)
            return None
        told = " ".join(str(error).split())
        text = f"phase `{phase}`: {MOST_TRIES} workers of Ray in turn were lost, the last one: {told}"
        return Outcome(phase, "failed", error=DsdError(text, help="is the memory enough? look at Ray's logs"))
