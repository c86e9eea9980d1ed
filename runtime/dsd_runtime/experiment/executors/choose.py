"""The executor of a run, as its command says, with what watches the training."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from dsd_runtime.experiment.executors.executor import Executor
from dsd_runtime.experiment.executors.here import Here
from dsd_runtime.experiment.executors.in_ranks import InRanks
from dsd_runtime.experiment.executors.order import WorkOrder
from dsd_runtime.experiment.executors.processes import Processes
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.following import first_order
from dsd_runtime.experiment.longer import Shorter
from dsd_runtime.experiment.node_training import NodeTrainer
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.recorders import recorders
from dsd_runtime.experiment.reporting import UpToDate
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.stopping import StopRequest
from dsd_runtime.storage.durable import remove
from dsd_runtime.tracking.console import ConsoleProgress, LastSaved
from dsd_runtime.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Workers:
    """An executor, and the trackers that this process feeds."""

    executor: Executor
    tracker: Tracker
    stop_mark: Path

    def close(self) -> None:
        """Ends the workers and closes the trackers."""
        try:
            self.executor.close()
        finally:
            self.tracker.close()
            remove(self.stop_mark)


def workers(
    run: OpenRun,
    shorter: Mapping[str, Shorter],
    stop: StopRequest,
    shown: tuple[LastSaved, ConsoleProgress],
    up_to_date: UpToDate,
) -> Workers:
    """This process, or those that `--jobs`, `--ray` or `--slurm` ask for."""
    prepared, folder = run.prepared, run.folder
    request = prepared.request
    mark = folder.leases / f"stop-{secrets.token_hex(8)}"
    if not request.is_shared:
        tracker = Tracker((*shown, *recorders(prepared, folder, run.keys), up_to_date))
        group = prepared.group
        trainer = NodeTrainer(run, tracker, should_stop=stop, shorter=shorter, group=group)
        if group is not None:
            group.begins(first_order(folder, prepared, dict(shorter)))
            return Workers(InRanks(prepared.plan, trainer, group), tracker, mark)
        return Workers(Here(prepared.plan, trainer), tracker, mark)
    order = WorkOrder.of(prepared, folder.root, shorter, mark)
    return Workers(_elsewhere(prepared, folder, order, shown[1]), Tracker(shown), mark)


def _elsewhere(prepared: Prepared, folder: RunFolder, order: WorkOrder, console: ConsoleProgress) -> Executor:
    request, is_on_gpu = prepared.request, prepared.precision.device.type == "cuda"
    if request.ray is not None:
        from dsd_runtime.experiment.executors.on_ray import OnRay

        return OnRay(order, request.ray, is_on_gpu=is_on_gpu, say=console.relay)
    if request.slurm is not None:
        from dsd_runtime.experiment.executors.on_slurm import OnSlurm

        return OnSlurm(order, request.slurm, folder.leases / "slurm")
    devices = torch.cuda.device_count() if is_on_gpu else 0
    return Processes(order, request.jobs, devices=devices, say=console.relay)
