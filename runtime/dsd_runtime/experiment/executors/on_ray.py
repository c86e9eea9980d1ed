"""Trains as tasks of a Ray cluster (`--ray ADDRESS`, `--ray local`); the run folder is on a shared file system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.executors.executor import Outcome
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.executors.workplace import train_for_another

_MOST_LOST = 2
"""How often Ray begins a task again whose worker was lost. A failure of the training itself is never tried again."""
_MOST_WAITING = 256
"""So many tasks are with Ray at most; more would only wait there."""


class OnRay:
    """The executor of `--ray`. Ray decides where a task runs; a task resumes what an earlier one has saved."""

    name = "Ray"
    is_here = False

    def __init__(self, order: WorkOrder, address: str, *, is_on_gpu: bool) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            raise DsdError(
                "`--ray` needs `ray`, which is not installed", help="run: pip install 'dsd-lang[ray]'"
            ) from error
        self._ray: Any = ray
        self._order, self._address = order, address
        self._begun: dict[Any, str] = {}
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
        self._task = ray.remote(
            num_cpus=threads, num_gpus=1 if is_on_gpu else 0, max_retries=_MOST_LOST, retry_exceptions=False
        )(train_for_another)

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
        return [self._outcome(task, self._begun.pop(task)) for task in ended]

    def cancel(self) -> None:
        """Running tasks see the stop mark; those that wait are cancelled."""
        self._order.stop_mark.touch()

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _outcome(self, task: Any, phase: str) -> Outcome:
        try:
            return Outcome.from_data(self._ray.get(task))
        except self._ray.exceptions.RayError as error:
            told = " ".join(str(error).split())
            return Outcome(
                phase, "failed", error=DsdError(f"Ray could not train it: {told}", help="look at Ray's logs")
            )
