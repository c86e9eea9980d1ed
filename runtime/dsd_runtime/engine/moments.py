"""Saves the moments that a plan refers to: `@label.start|entered|end|best|500it|3ep` and `@init`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from dsd_lang.plan import Checkpoint, Plan
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.references import ClockReading, ReferenceStore, reference_key, take_snapshot
from dsd_runtime.engine.stages import Stage


class Moments:
    """Saves the checkpoints of a plan's references; ``best`` is the best ``best_metric`` in the current phase."""

    def __init__(
        self, plan: Plan, model: nn.Module, store: ReferenceStore, best_metric: str, table: MetricTable
    ) -> None:
        self.best: float | None = None
        self._model = model
        self._store = store
        self._best_metric = best_metric
        self._table = table
        self._planned: dict[str | None, list[Checkpoint]] = {}
        for point in plan.checkpoints:
            self._planned.setdefault(point.phase, []).append(point)

    @property
    def needs_init(self) -> bool:
        """Whether the plan refers to `@init`."""
        return any(point.moment == "init" for point in self._planned.get(None, ()))

    def save(self, moment: str, stage: Stage, reading: ClockReading) -> None:
        """Saves the checkpoint planned for that moment of the stage's phase."""
        for point in self._planned.get(stage.phase.id, ()):
            if point.moment == moment:
                self._store.save(reference_key(point), take_snapshot(self._model, reading))

    def save_offsets(self, stage: Stage, reading: ClockReading) -> None:
        """Saves the checkpoints planned after that many updates of the phase."""
        for point in self._planned.get(stage.phase.id, ()):
            if point.moment != "at" or point.offset is None:
                continue
            if point.offset.length.updates(stage.updates_per_epoch) == reading.phase_updates:
                self._store.save(reference_key(point), take_snapshot(self._model, reading))

    def keep_best(self, metrics: Mapping[str, float], stage: Stage, reading: ClockReading) -> None:
        """Saves `@label.best` if its metric has improved; NaN is never an improvement."""
        value = metrics.get(self._best_metric)
        if value is None or math.isnan(value) or not self._table.knows(self._best_metric):
            return
        if self.best is not None and not self._table.is_better(self._best_metric, float(value), self.best):
            return
        self.best = float(value)
        self.save("best", stage, reading)

    def has_offsets(self, stage: Stage) -> bool:
        """Whether a checkpoint inside the stage's phase is planned."""
        return any(point.moment == "at" for point in self._planned.get(stage.phase.id, ()))
