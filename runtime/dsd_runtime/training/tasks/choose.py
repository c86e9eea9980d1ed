"""Chooses the task for the data's traits."""

from __future__ import annotations

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.training.tasks.captioning import CaptioningTask
from dsd_runtime.training.tasks.classification import ClassificationTask
from dsd_runtime.training.tasks.ctc import CtcTask
from dsd_runtime.training.tasks.task import Task

PRIMARY_METRIC = {"classification": "val.err", "ctc": "val.wer", "captioning": "val.ppl"}


def task_for(traits: DataTraits) -> Task:
    """The task of a data set; raises :class:`DsdError` for an unknown one."""
    if traits.task == "classification":
        return ClassificationTask()
    if traits.task == "ctc":
        return CtcTask(traits.alphabet)
    if traits.task == "captioning":
        return CaptioningTask(traits.vocabulary)
    raise DsdError(
        f"unknown task `{traits.task}`; expected classification, ctc or captioning",
        help="set `task` in the traits of your data source",
    )
