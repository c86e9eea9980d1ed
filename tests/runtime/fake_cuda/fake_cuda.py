"""A machine with a CUDA device whose tensors have shapes and devices, but no values: device mix-ups show without a GPU.

Inside the block tensors are fake (`torch._subclasses.FakeTensorMode`). An operation on tensors of two devices raises,
as do `numpy()` on a CUDA tensor and a gradient on the wrong device.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from fake_backward import run_backward
from host_reads import HostReads, made_up_array
from torch._subclasses import FakeTensorMode

CUDA = torch.device("cuda", 0)


@contextmanager
def fake_cuda() -> Iterator[HostReads]:
    """Yields the notes of host reads."""
    reads = HostReads()
    with (
        warnings.catch_warnings(),
        FakeTensorMode(),
        mock.patch("torch.autograd._engine_run_backward", run_backward),
        mock.patch("torch.Tensor.numpy", made_up_array),
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        mock.patch("torch.cuda.is_bf16_supported", return_value=True),
        mock.patch.object(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, create=True),
        mock.patch("torch.utils.swap_tensors", _move),
        reads,
    ):
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")
        yield reads


def _move(tensor: Any, moved: Any) -> None:
    """`Module.to()` swaps the memory of a parameter with that of its copy; without memory only the device changes."""
    tensor.fake_device = moved.fake_device


def devices_of(*values: Any) -> set[str]:
    """The device types of tensors in nested values."""
    return {leaf.device.type for leaf in torch.utils._pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)}
