"""Refreshes batch-norm statistics before an evaluation (`calibrate=`): their mean over some training batches.

In training mode a batch norm does not read its running statistics, so no weight that is trained later changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count as count_from_one
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dsd_runtime.engine.stages import Stage

Item = TypeVar("Item")


def calibrate(
    model: nn.Module,
    stage: Stage,
    batches: Iterable[Item],
    forward: Callable[[Item], object],
    *,
    kept: Sequence[nn.Module] = (),
) -> None:
    """Refreshes the statistics from as many batches as the phase's `calibrate=` asks for; does nothing without it.

    Those of the norms ``kept``, which the phase freezes, stay as they are.
    """
    length = stage.phase.calibrate
    norms = [norm for norm in batch_norms(model) if all(norm is not one for one in kept)]
    if length is None or not norms:
        return
    with collecting_statistics(model, norms):
        for item in islice(batches, length.length.updates(stage.updates_per_epoch)):
            forward(item)


def running_statistics(model: nn.Module) -> list[Tensor]:
    """The means and variances that evaluations use, of every batch norm."""
    found = [(norm.running_mean, norm.running_var) for norm in batch_norms(model)]
    return [value for pair in found for value in pair if value is not None]


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The layers with running statistics."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]


def _averages_over_calls() -> Callable[[nn.Module, object], None]:
    """A hook for one layer: what `momentum=None` does, without reading the number of calls from the device."""
    calls = count_from_one(1)

    def set_momentum(norm: nn.Module, inputs: object) -> None:
        assert isinstance(norm, _BatchNorm)
        norm.momentum = 1.0 / next(calls)

    return set_momentum


@contextmanager
def collecting_statistics(model: nn.Module, norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within the block each forward pass adds a batch to new statistics of those norms: their cumulative average.

    The other layers are in evaluation mode, so dropout draws nothing. Modes and momentum are restored at the end.
    """
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(_averages_over_calls()) for norm in norms]
    model.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        with torch.no_grad():
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
