"""Trains as jobs of a Slurm cluster (`--slurm partition=gpu,time=60`), by submitit; `--slurm local` runs them here."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.executors.executor import Outcome
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.executors.workplace import train_for_another

_MOST_WAITING = 256
_POLL_SECONDS = 0.1
_MOST_TIMEOUTS = 10_000
"""How often a job is queued again whose time has ended: each time it has trained some more. submitit's default is 3."""
_NAMES = {"time": "timeout_min", "mem": "mem_gb", "cpus": "cpus_per_task", "gpus": "gpus_per_node"}
"""Options that every cluster of submitit has, in minutes, gigabytes, and numbers; the others are Slurm's own."""


class NodeJob:
    """One phase as a job. When its time ends, it is queued again, and resumes from what it saved last."""

    def __init__(self, order: str, phase: str) -> None:
        self.order, self.phase = order, phase

    def __call__(self) -> dict[str, Any]:
        return train_for_another(self.order, self.phase)

    def checkpoint(self) -> Any:
        """What submitit queues when the job is preempted or out of time: the same, which resumes."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class OnSlurm:
    """The executor of `--slurm`: a phase is submitted when what it needs has ended."""

    name = "Slurm"
    is_here = False

    def __init__(self, order: WorkOrder, options: str, logs: Path) -> None:
        try:
            import submitit
        except ModuleNotFoundError as error:
            raise DsdError(
                "`--slurm` needs `submitit`, which is not installed", help="run: pip install 'dsd-lang[slurm]'"
            ) from error
        self._order, self._text = order, order.to_json()
        self._begun: dict[Any, str] = {}
        is_local = options == "local"
        try:
            cluster = "local" if is_local else "slurm"
            self._executor = submitit.AutoExecutor(
                logs, cluster=cluster, local_max_num_timeout=_MOST_TIMEOUTS, slurm_max_num_timeout=_MOST_TIMEOUTS
            )
            self._executor.update_parameters(name="dsd", **({} if is_local else parameters_of(options)))
        except (RuntimeError, NameError, ValueError, TypeError) as error:
            told = " ".join(str(error).split())
            raise DsdError(
                f"`--slurm {options}` cannot be used: {told}", help="give options as in `time=60,mem=8`"
            ) from error
        self._most = (os.cpu_count() or 1) if is_local else _MOST_WAITING

    @property
    def idle(self) -> Sequence[str | None]:
        return (None,) * (self._most - len(self._begun))

    def submit(self, phase: str, after: str | None) -> None:
        """Queues the phase."""
        self._begun[self._executor.submit(NodeJob(self._text, phase))] = phase

    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended within the time."""
        until = time.monotonic() + seconds
        while True:
            ended = [job for job in self._begun if job.done()]
            if ended or time.monotonic() > until:
                return [self._outcome(job, self._begun.pop(job)) for job in ended]
            time.sleep(_POLL_SECONDS)

    def cancel(self) -> None:
        """Running jobs see the stop mark; those that wait in the queue are taken out of it."""
        self._order.stop_mark.touch()
        for job in self._begun:
            if job.state in ("PENDING", "REQUEUED"):
                job.cancel()

    def close(self) -> None:
        """Jobs that still run are cancelled; what they have saved stays."""
        for job in self._begun:
            job.cancel()

    def _outcome(self, job: Any, phase: str) -> Outcome:
        error = job.exception()
        if error is None:
            return Outcome.from_data(job.result())
        if self._order.stop_mark.exists():
            return Outcome(phase, "stopped")
        told = str(error).strip().splitlines()
        why = told[-1] if told else type(error).__name__
        failed = DsdError(f"its job {job.job_id} failed: {why}", help=f"its log is `{job.paths.stderr}`")
        return Outcome(phase, "failed", error=failed)


def parameters_of(options: str) -> dict[str, Any]:
    """`partition=gpu,time=60` as submitit's parameters; raises :class:`DsdError` for what is not `NAME=VALUE`."""
    found: dict[str, Any] = {}
    for item in options.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (name and equals and value):
            raise DsdError(
                f"`--slurm {options}`: `{item}` is not NAME=VALUE", help="write for instance `partition=gpu,time=60`"
            )
        if name in _NAMES and not value.isdigit():
            raise DsdError(
                f"`--slurm {options}`: `{name}` is `{value}`, expected a whole number", help="as in `time=60`"
            )
        found[_NAMES.get(name, f"slurm_{name}")] = int(value) if name in _NAMES else value
    return found
