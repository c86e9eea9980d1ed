"""Dropout by sample: a process that has some rows of a batch drops what one process would drop in these rows.

All processes draw the mask of the whole batch from generators that are alike, and use their rows of it. So the masks do
not depend on the number of processes, and the generators stay alike.

The samples are along the first or second dimension of a layer's input; a model says which by ``dropout_batch_dim``, if
their number alone does not. The input may also be the packed frames of the samples (models/frames.py): then the model's
``output_lengths(lengths)`` says how many frames each sample has there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from dsd_runtime.data.parts import Part
from dsd_runtime.models.frames import Frames

_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True, slots=True)
class _Now:
    """The part that is computed on, and which packed frames of the whole batch are its own, if it has frames."""

    part: Part[Any]
    own_frames: Tensor | None


class SharedDropout:
    """The dropout layers of a model, whose forward passes ask for the rows of the current batch."""

    def __init__(self, model: nn.Module, index: int) -> None:
        self._index = index
        self._now: _Now | None = None
        self._output_lengths: Callable[[Tensor], Tensor] | None = getattr(model, "output_lengths", None)
        dim: int | None = getattr(model, "dropout_batch_dim", None)
        self._dims: tuple[int, ...] = (0, 1) if dim is None else (dim,)
        for module in model.modules():
            if isinstance(module, _LAYERS):
                setattr(module, "forward", MethodType(self._by_rows(), module))  # noqa: B010  (a method, for mypy)

    @contextmanager
    def of(self, part: Part[Any]) -> Iterator[None]:
        """Inside the block a forward pass has these rows of a batch."""
        self._now = _Now(part, self._own_frames(part))
        try:
            yield
        finally:
            self._now = None

    def _own_frames(self, part: Part[Any]) -> Tensor | None:
        """Whether each packed frame of the whole batch is of this part; None for samples without frames."""
        if part.lengths is None or self._output_lengths is None:
            return None
        lengths = self._output_lengths(part.lengths)
        samples = Frames.of(lengths, int(lengths.max())).samples
        return (samples >= part.start) & (samples < part.end)

    def _by_rows(self) -> Callable[[Any, Tensor], Tensor]:
        """A method for a layer; one of a copy of the model (a teacher) belongs to the copied layer."""

        def forward(module: Any, values: Tensor) -> Tensor:
            whole: Callable[[Tensor], Tensor] = partial(type(module).forward, module)
            if not module.training or not module.p or self._now is None:
                return whole(values)
            return values * self._mask(values, whole, self._now)

        return forward

    def _mask(self, values: Tensor, forward: Callable[[Tensor], Tensor], now: _Now) -> Tensor:
        """What the layer multiplies these values by: of the rows that are this process's samples or frames."""
        part, frames = now.part, now.own_frames
        if frames is not None and values.dim() == 2 and values.shape[0] == int(frames.sum()):
            return forward(values.new_ones(len(frames), values.shape[1]))[frames.to(values.device)]
        for dim in self._dims:
            if dim < values.dim() and values.shape[dim] == part.end - part.start:
                shape = list(values.shape)
                shape[dim] = part.total
                return forward(values.new_ones(shape)).narrow(dim, part.start, part.end - part.start)
        return self._own_mask(values, forward)

    def _own_mask(self, values: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
        """A mask of this process's own, for values of which it is not known which sample they belong to."""
        seed: Any = torch.randint(1 << 62, ()).item()
        devices = [values.device] if values.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed ^ self._index)
            return forward(torch.ones_like(values))
