"""Everything that writes into the run folder while a node trains, in this process or in a worker."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_runtime.experiment.densities import DensityFile
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.head import hyper_parameters
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.status import StatusFile
from dsd_runtime.experiment.weight_records import WeightRecords
from dsd_runtime.tracking.jsonl import MetricsFile
from dsd_runtime.tracking.tracker import Sink


def recorders(
    prepared: Prepared, folder: RunFolder, keys: Mapping[str, str], *, is_shared: bool = False
) -> tuple[Sink, ...]:
    """``is_shared``: other processes may train the next phases of a line."""
    from dsd_runtime.tracking.tensorboard import TensorBoard

    named = hyper_parameters(prepared, prepared.plan.hash)
    board = TensorBoard(folder.events, prepared.plan, named, prepared.best_metric, is_shared=is_shared)
    records = WeightRecords(folder, prepared.plan, keys)
    return MetricsFile(folder.node_metrics), board, records, DensityFile(folder), StatusFile(folder)
