"""Chooses the task for the data's traits."""

from __future__ import annotations

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.own_metrics import OwnMetric
from dsd_runtime.data.source import DataSource
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.training.tasks.captioning import CaptioningTask
from dsd_runtime.training.tasks.classification import ClassificationTask
from dsd_runtime.training.tasks.ctc import CtcTask
from dsd_runtime.training.tasks.task import Task

PRIMARY_METRIC = {"classification": "val.err", "ctc": "val.wer", "captioning": "val.ppl"}


def own_metrics_of(data: DataSource) -> tuple[OwnMetric, ...]:
    """The user's own metrics that come with a data set."""
    return tuple(getattr(data, "own_metrics", ()))


def task_for(traits: DataTraits, own_metrics: tuple[OwnMetric, ...] = ()) -> Task:
    """The task of a data set with the user's own metrics; raises :class:`DsdError` for an unknown task."""
    if traits.task == "classification":
        return ClassificationTask(own_metrics)
    if traits.task == "ctc":
        return CtcTask(traits.alphabet)
    if traits.task == "captioning":
        return CaptioningTask(traits.vocabulary)
    raise DsdError(
        f"unknown task `{traits.task}`; expected classification, ctc or captioning",
        help="set `task` in the traits of your data source",
    )
