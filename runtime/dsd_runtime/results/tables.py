"""The paper's table: one row a phase with its seeds averaged, and the change against the first row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from dsd_lang.plan.seeds import arm_of, grouped_by_seed
from dsd_runtime.results.directions import higher_is_better
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results

NamedResults = Sequence[tuple[str, Results]]
MOST_METRICS = 5
_WANTED = ("wer", "err", "bleu4", "top1_err", "acc", "cer", "ppl", "loss")
_SAME = {"acc": "err", "top1_err": "err"}
"""Measures that say the same as another one, which is shown instead."""


class Spread(NamedTuple):
    """The values of some seeds: how many, their mean and standard deviation."""

    seeds: int
    mean: float
    deviation: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.deviation is None else f"{self.mean:.4g} ± {self.deviation:.2g}"


class TableRow(NamedTuple):
    """One phase: its arm and name, and for each metric the spread over its seeds; None where there is none."""

    arm: str
    phase: str
    mode: str
    target: str | None
    state: str
    seeds: int
    epochs: float | None
    sparsity: float | None
    values: dict[str, Spread | None]
    change: float | None
    relative_change: float | None

    @property
    def key(self) -> tuple[str, str]:
        """What two runs have in common: the path and the label or number."""
        return self.arm, self.phase


def row_name(phase: PhaseResult) -> str:
    """The label, or the number in the plan.

    >>> row_name(PhaseResult(id="p2", path="", label=None, node=None, mode="dense", target=None, seed=0, length="1ep",
    ...                      state="trained"))
    'p2'
    """
    return phase.label or phase.id


def spread(values: Sequence[float | None]) -> Spread | None:
    """Over the values that are there; None where there are none, or one is not finite.

    >>> str(spread([1.0, 2.0, None]))
    '1.5 ± 0.71'
    """
    known = [value for value in values if value is not None]
    if not known or not all(map(math.isfinite, known)):
        return None
    return Spread(len(known), statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def measured(results: Results) -> list[str]:
    """The names of all metrics that a phase ends with, in the order in which they first occur."""
    return list(dict.fromkeys(name for phase in results.phases for name in phase.metrics))


def main_metric(results: Results) -> str | None:
    """The metric that the schedule asks about, else the test metric that a paper would print."""
    names = measured(results)
    if results.comparisons and results.comparisons[0].on in names:
        return results.comparisons[0].on
    wanted = [f"{split}.{name}" for split in ("test", "val") for name in _WANTED if name != "loss"]
    wanted += [name for name in names if not name.endswith(".loss")] + ["test.loss", "val.loss"]
    return next((name for name in wanted if name in names), None)


def table_metrics(results: Results) -> list[str]:
    """The columns of the table: the main metric, the metrics that are compared, then test, validation, the rest."""
    names, main = measured(results), main_metric(results)
    asked = [main, *(item.on for item in results.comparisons)]
    kept = [name for name in names if not _is_same_as_another(name, names)]
    rest = ["" if main is None else f"val.{main.partition('.')[2]}", "entropy.relu"]
    rest += [name for name in kept if name.startswith("test.") and not name.endswith("top5_err")]
    rest += ["train.loss", *kept]
    ordered = dict.fromkeys([*(name for name in asked if name in names), *(name for name in rest if name in names)])
    return [name for name in ordered if name is not None][:MOST_METRICS]


def paper_table(results: Results) -> list[TableRow]:
    """All phases; the changes are those of :func:`main_metric` against the first row that has it."""
    columns, main = table_metrics(results), main_metric(results)
    rows: list[TableRow] = []
    first: float | None = None
    for group in grouped_by_seed(results.phases, lambda phase: phase.path):
        values = {name: spread([phase.metrics.get(name) for phase in group]) for name in columns}
        found = values.get(main) if main is not None else None
        change = None if found is None or first is None else found.mean - first
        if first is None and found is not None:
            first = found.mean
        rows.append(_row(group, values, change, first))
    return rows


def direction(name: str, results: Results) -> str:
    """`lower is better`, `higher is better` or `direction unknown`."""
    higher = higher_is_better(name, results.provenance.own_metrics)
    return "direction unknown" if higher is None else "higher is better" if higher else "lower is better"


def _row(
    group: Sequence[PhaseResult], values: dict[str, Spread | None], change: float | None, first: float | None
) -> TableRow:
    head = group[0]
    epochs, sparsity = spread([phase.epochs for phase in group]), spread([phase.sparsity for phase in group])
    return TableRow(
        arm=arm_of(head.path),
        phase=row_name(head),
        mode=head.mode,
        target=head.target,
        state=", ".join(dict.fromkeys(phase.state for phase in group)),
        seeds=len(group),
        epochs=None if epochs is None else epochs.mean,
        sparsity=None if sparsity is None else sparsity.mean,
        values=values,
        change=change,
        relative_change=None if change is None or not first else change / abs(first),
    )


def _is_same_as_another(name: str, names: Sequence[str]) -> bool:
    split, _, measure = name.partition(".")
    return measure in _SAME and f"{split}.{_SAME[measure]}" in names
