"""Which task a data set is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.registry import open_data
from dsd_runtime.training.tasks.choose import PRIMARY_METRIC, task_for


@pytest.mark.parametrize(("data", "task"), [("digits", "classification"), ("spoken", "ctc"), ("scenes", "captioning")])
def test_the_task_is_the_data_s(data: str, task: str) -> None:
    traits = open_data(data).traits
    assert task_for(traits).name == task
    split, _, metric = PRIMARY_METRIC[traits.task].partition(".")
    assert split == "val"
    assert metric in task_for(traits).metrics


def test_another_task_is_refused_by_name() -> None:
    with pytest.raises(DsdError, match="unknown task `juggling`"):
        task_for(replace(open_data("digits").traits, task="juggling"))
