"""What a process of `torchrun` does that is not the first: it takes part in each node that the first one trains."""

from __future__ import annotations

import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.longer import Shorter
from dsd_runtime.experiment.node_training import NodeTrainer
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.stopping import StopRequest
from dsd_runtime.experiment.threads import Threads, computing_on
from dsd_runtime.experiment.torchrun import Group
from dsd_runtime.tracking.tracker import Tracker
from dsd_runtime.training.loop import Stopped


def first_order(folder: RunFolder, prepared: Prepared, shorter: dict[str, Shorter]) -> dict[str, Any]:
    """What the first process tells the others before the first node."""
    said = {key: [str(one.checkpoint), one.key, one.updates] for key, one in shorter.items()}
    return {"out": str(folder.root), "threads": prepared.setting.threads, "shorter": said,
            "setting": asdict(prepared.setting)}  # fmt: skip


def follow(prepared: Prepared, group: Group) -> int:
    """Follows the first process to the end; returns the exit code."""
    stop = StopRequest(is_quiet=True)
    group.is_stopping = stop
    with stop.listening():
        order = group.told()
        if "exit" in order:
            return int(order["exit"])
        threads = order["threads"]
        prepared = replace(prepared, setting=replace(prepared.setting, threads=threads))
        if asdict(prepared.setting) != order["setting"]:
            raise DsdError(
                "the processes of this run have different data, models or devices",
                help="give all machines the same files, devices and version of dsd",
            )
        group.join()
        with computing_on(Threads(threads, threads or 1, "")):
            try:
                _follow(prepared, group, order, stop)
            except Stopped:
                return 128 + (stop.signal or signal.SIGTERM)
    return 0


def _follow(prepared: Prepared, group: Group, order: dict[str, Any], stop: StopRequest) -> None:
    run = OpenRun.of(prepared, RunFolder(Path(order["out"])))
    shorter = {key: Shorter(Path(path), short, updates) for key, (path, short, updates) in order["shorter"].items()}
    trainer = NodeTrainer(run, Tracker(()), should_stop=stop, shorter=shorter, group=group)
    while "end" not in (order := group.told()):
        try:
            trainer.follow(order)
        except Exception as error:
            if not group.all_have_failed(error):
                raise
