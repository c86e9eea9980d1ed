"""Batch norm over the samples of all processes, on any device: the statistics are those of the whole batch.

Sums are exchanged by operations that gradients pass through, so that a process's gradient has what its samples do to
the others' outputs. (`torch.nn.SyncBatchNorm` does the same on GPUs only, by another class of layer.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dsd_runtime.masks.processes import Processes


def sync_batch_norms(model: nn.Module, processes: Processes) -> None:
    """Makes the batch-norm layers of a model use the samples of all processes in training."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            setattr(module, "forward", MethodType(_synced(processes), module))  # noqa: B010  (a method, for mypy)


@contextmanager
def by_own_samples(model: nn.Module) -> Iterator[None]:
    """Within the block the layers use the samples of this process only, as if nothing was synchronised."""
    synced = {
        module: module.__dict__.pop("forward")
        for module in model.modules()
        if isinstance(module, _BatchNorm) and "forward" in module.__dict__
    }
    try:
        yield
    finally:
        for module, forward in synced.items():
            setattr(module, "forward", forward)  # noqa: B010  (a method, for mypy)


def _synced(processes: Processes) -> Callable[[_BatchNorm, Tensor], Tensor]:
    def forward(module: _BatchNorm, values: Tensor) -> Tensor:
        if not module.training:
            return type(module).forward(module, values)
        return _normalised(module, values, processes)

    return forward


def _normalised(module: _BatchNorm, values: Tensor, processes: Processes) -> Tensor:
    dims = [dim for dim in range(values.dim()) if dim != 1]
    shape = [1, -1] + [1] * (values.dim() - 2)
    own = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    count = own.new_tensor([own.numel() / max(1, own.shape[1])])
    sums = _total(torch.cat([own.sum(dims), count]), processes)
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = own - mean.view(shape)
    variance = _total(centred.square().sum(dims), processes) / count
    _remember(module, mean.detach(), variance.detach(), float(count))
    result = centred * (variance + module.eps).rsqrt().view(shape)
    if module.affine:
        result = result * module.weight.view(shape) + module.bias.view(shape)
    return result.to(values.dtype)


def _total(row: Tensor, processes: Processes) -> Tensor:
    from torch.distributed.nn.functional import all_reduce

    return cast(Tensor, all_reduce(row, group=processes.group))  # type: ignore[no-untyped-call]


@torch.no_grad()
def _remember(module: _BatchNorm, mean: Tensor, variance: Tensor, count: float) -> None:
    """Moves the running statistics, by the unbiased variance, as torch does."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked.add_(1)
    share = module.momentum if module.momentum is not None else 1.0 / float(module.num_batches_tracked)
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), share)
    unbiased = variance * (count / max(1.0, count - 1))
    module.running_var.lerp_(unbiased.to(module.running_var.dtype), share)
