"""Dropout by sample: a process that has some rows of a batch drops what one process would drop in these rows.

All processes draw the mask of the whole batch from generators that are alike, and use their rows of it. So the masks do
not depend on the number of processes, and the generators stay alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class SharedDropout:
    """The dropout layers of a model, whose forward passes ask for the rows of the current batch."""

    def __init__(self, model: nn.Module, index: int) -> None:
        self._index = index
        self._rows: tuple[int, int, int] | None = None
        for module in model.modules():
            if isinstance(module, _LAYERS):
                setattr(module, "forward", MethodType(self._by_rows(), module))  # noqa: B010  (a method, for mypy)

    @contextmanager
    def of(self, start: int, end: int, total: int) -> Iterator[None]:
        """Inside the block a forward pass has these rows of a batch of that many samples."""
        self._rows = (start, end, total)
        try:
            yield
        finally:
            self._rows = None

    def _by_rows(self) -> Callable[[nn.Module, Tensor], Tensor]:
        """A method for a layer; one of a copy of the model (a teacher) belongs to the copied layer."""

        def forward(module: nn.Module, values: Tensor) -> Tensor:
            whole = partial(type(module).forward, module)
            return whole(values) if not module.training or self._rows is None else values * self._mask(values, whole)

        return forward

    def _mask(self, values: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
        """What the layer multiplies these values by: along the first or second dimension if it is the batch's."""
        assert self._rows is not None
        start, end, total = self._rows
        for dim in range(min(2, values.dim())):
            if values.shape[dim] == end - start:
                shape = list(values.shape)
                shape[dim] = total
                return forward(values.new_ones(shape)).narrow(dim, start, end - start)
        return self._own_mask(values, forward)

    def _own_mask(self, values: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
        """A mask of this process's own, for values that are not one row a sample (packed frames)."""
        seed: Any = torch.randint(1 << 62, ()).item()
        devices = [values.device] if values.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed ^ self._index)
            return forward(torch.ones_like(values))
