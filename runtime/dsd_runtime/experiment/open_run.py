"""A run that a process works on: what it trains, where, the keys of its nodes and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.history import History
from dsd_runtime.experiment.keys import node_keys
from dsd_runtime.experiment.setup import Prepared


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A prepared run in its folder; ``keys``: of the nodes, by phase."""

    prepared: Prepared
    folder: RunFolder
    keys: Mapping[str, str]
    history: History

    @classmethod
    def of(cls, prepared: Prepared, folder: RunFolder) -> Self:
        """A run of which this process knows no result yet: those in the folder are read when they are needed."""
        keys = node_keys(prepared.plan, prepared.setting)
        table = MetricTable(prepared.percent_metrics, prepared.own_directions)
        return cls(prepared, folder, keys, History(prepared.plan, keys, folder, table))
