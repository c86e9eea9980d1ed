"""Checks before training that a schedule only reads metrics that will be measured.

A condition on a metric that is never reported is never true, so a phase would silently run to its full length; a
`compare` or `expect` on one would have no answer after all the training.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.metrics import RELU_ENTROPY, find_metric, split_metric
from dsd_lang.plan import Condition, Phase, Plan
from dsd_runtime.engine.conditions import metrics_of


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run measures: the task's name and metrics, and how many samples each split has."""

    task: str
    metrics: Collection[str]
    sizes: Mapping[str, int]
    best_metric: str

    def names(self, *, at_end: bool) -> tuple[str, ...]:
        """The metrics reported after each pass over the data, or (including the test split) at a phase's end."""
        splits = [split for split in ("val", "test") if self.sizes.get(split) and (split == "val" or at_end)]
        entropy = (RELU_ENTROPY,) if self.sizes.get("val") else ()
        return ("train.loss", "sparsity", *(f"{split}.{name}" for split in splits for name in self.metrics), *entropy)


def require_measured(plan: Plan, measured: Measured) -> None:
    """Raises :class:`DsdError` for the first `until`, `@label.best`, `compare` or `expect` on an unmeasured metric."""
    for phase in plan.phases:
        for condition, at_end in _conditions(phase):
            for metric in sorted(metrics_of(condition)):
                _require(metric, measured, at_end=at_end, who=f"`until` reads `{metric}`", where=_where(phase))
    labels = {phase.id: phase for phase in plan.phases}
    for point in plan.checkpoints:
        if point.moment == "best" and point.phase in labels:
            who = f"`@best` uses `{measured.best_metric}`"
            _require(measured.best_metric, measured, at_end=False, who=who, where=_where(labels[point.phase]))
    for word, metric in _asked(plan):
        _require(metric, measured, at_end=True, who=f"it reads `{metric}`", where=f"`{word}`")


def _asked(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each `compare` and `expect` of a plan in words, with a metric that it reads."""
    for comparison in plan.comparisons:
        yield f"compare {comparison.left} vs {comparison.right}", split_metric(comparison.on)[1]
    for expectation in plan.expectations:
        for metric in sorted(metrics_of(expectation.condition)):
            yield f"expect {expectation.text}", split_metric(metric)[1]


def _where(phase: Phase) -> str:
    return f"line {phase.span.line}" if phase.span else f"phase `{phase.label or phase.id}`"


def reads_entropy(plan: Plan) -> bool:
    """Whether anything in a plan reads `entropy.relu`, which costs time to measure: conditions, `compare`, `expect`."""
    conditions = [condition for phase in plan.phases for condition, _ in _conditions(phase)]
    conditions += [expectation.condition for expectation in plan.expectations]
    read = {metric for condition in conditions for metric in metrics_of(condition)}
    read |= {comparison.on for comparison in plan.comparisons}
    return any(split_metric(metric)[1] == RELU_ENTROPY for metric in read)


def _conditions(phase: Phase) -> Iterator[tuple[Condition, bool]]:
    """A phase's conditions, and whether they are checked at a phase's end (those of loops) or after each pass."""
    if phase.until is not None:
        yield phase.until, False
    for cycle in phase.cycles:
        yield cycle.until, True


def _require(metric: str, measured: Measured, *, at_end: bool, who: str, where: str) -> None:
    known = measured.names(at_end=at_end)
    row = find_metric(metric)
    if metric in known or (row is not None and not row.is_supported):  # refused by `engine.support`
        return
    split, _, name = ("val", "", metric) if metric == RELU_ENTROPY else metric.partition(".")
    if split in ("val", "test") and name in (*measured.metrics, RELU_ENTROPY):
        if not measured.sizes.get(split):
            raise DsdError(f"{where}: {who}, but the data has no {split} samples", help=_ways_out(split))
        raise DsdError(
            f"{where}: {who}, which is only measured at the end of a phase",
            help=f"read `val.{name}`, or put the condition on a `repeat`",
        )
    guess = nearest(metric, known)
    listed = f"this run measures {', '.join(known)}"
    measurer = f"the task {measured.task} does not measure" if split in ("val", "test") else "`dsd-run` does not report"
    raise DsdError(
        f"{where}: {who}, which {measurer}",
        help=f"did you mean `{guess}`? {listed}" if guess else listed,
    )


def _ways_out(split: str) -> str:
    if split == "val":
        return (
            "hold out some training samples (`val=0.1`), validate on the test samples (`val=test`), or use `train.loss`"
        )
    return "give the data a test split, or use a `val.` metric"
