"""`--device`: one that is not there is one sentence, before anything is trained."""

from __future__ import annotations

import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.training.precision import choose_device

from .conftest import Run


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cuda_device_that_is_not_there(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1it lr=0.1", "--device", "cuda")
    assert outcome.code == 2
    assert "no CUDA device found" in outcome.err
    assert "--device cpu" in outcome.err
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(DsdError, match="no CUDA device"):
        choose_device("cuda:1")


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
