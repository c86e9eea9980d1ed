"""What scores of a whole model are measured with: the loss on some batches, and the weights that compete.

A measured score is computed for all selected weights at once. It changes nothing: gradients are taken by
`torch.autograd.grad`, which leaves `.grad` alone; the caller restores modes, buffers and random generators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from dsd_lang.base.errors import DsdError
from dsd_lang.base.options import SCORES
from dsd_lang.base.units import exact
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.processes import ONE, Processes

LossOf = Callable[[nn.Module, Any], Tensor]
"""The loss of a model on a batch: a tensor with one number."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """The inputs of a measured score.

    ``weights`` are the parameters that compete, by the name of their mask; separate parameters that share memory stand
    together. ``read`` begins to read the batches anew. The results are averaged over ``processes``, each of which reads
    its own batches.
    """

    by: str
    model: nn.Module
    weights: Mapping[str, Sequence[Tensor]]
    loss: LossOf
    read: Callable[[], Iterator[Any]]
    arguments: Mapping[str, str | bool] = field(default_factory=dict)
    input_axes: Mapping[str, InputAxis] = field(default_factory=dict)
    processes: Processes = ONE

    def argument(self, name: str) -> float:
        """A number among the arguments of `by=`, or its default in the language."""
        return number_of(self.by, self.arguments, name)

    def whole(self, name: str) -> int:
        """A whole number among the arguments."""
        return int(self.argument(name))

    def weight(self, name: str) -> Tensor:
        """A weight, without its graph."""
        return self.weights[name][0].detach()

    def axis(self, name: str) -> InputAxis:
        """The dimension of a weight's inputs."""
        return self.input_axes.get(name, COLUMNS)

    def batches(self) -> list[Any]:
        """The first `batches=` batches. Raises :class:`DsdError` on all processes if one has fewer."""
        wanted = self.whole("batches")
        found = list(islice(self.read(), wanted))
        missing = None
        if len(found) < wanted:
            missing = f"`by={self.by}` asks for {wanted} batches, and there are {len(found)}"
        self._raise(missing, f"give more batches, or write `by={self.by}(batches={max(1, len(found))})`")
        return found

    def samples(self) -> list[Any]:
        """Whole batches with `samples=` samples or more: each process its share. Raises as :meth:`batches`."""
        wanted = -(-self.whole("samples") // self.processes.count)
        found: list[Any] = []
        count, missing = 0, None
        for batch in self.read():
            if count >= wanted:
                break
            size = num_samples(batch)
            if not size:
                missing = f"`by={self.by}` counts samples, and a batch of the type {type(batch).__name__} has no tensor"
                break
            found.append(batch)
            count += size
        if missing is None and count < wanted:
            missing = f"`by={self.by}` asks for {wanted} samples, and there are {count}"
        self._raise(missing, f"give more batches, or write `by={self.by}(samples={max(1, count)})`")
        return found

    def one(self) -> Any:
        """The first batch."""
        found = list(islice(self.read(), 1))
        self._raise(None if found else f"`by={self.by}` needs a batch, and there is none", "give one batch or more")
        return found[0]

    def _raise(self, message: str | None, help_line: str) -> None:
        said = self.processes.first(message)
        if said is not None:
            raise DsdError(said, help=help_line if message == said else None)

    def loss_on(self, batch: Any) -> Tensor:
        """The loss, with its graph. Raises :class:`DsdError` if it is not one number that depends on the weights."""
        with torch.enable_grad():
            loss: object = self.loss(self.model, batch)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            what = f"a tensor of the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            message = f"the loss function for `by={self.by}` returned {what}, not a tensor with one number"
            self._raise(message, "return the mean loss of the batch")
        elif not loss.requires_grad:
            message = f"the loss for `by={self.by}` does not depend on the weights"
            self._raise(message, "compute it with the model that is given, without `no_grad()` and `detach()`")
        else:
            self._raise(None, "")
        assert isinstance(loss, Tensor)
        return loss

    def gradients(self, batches: Sequence[Any]) -> Iterator[dict[str, Tensor]]:
        """The gradient of each batch's loss, in float32 or more, averaged over the processes."""
        for batch in batches:
            found = self.derivatives(self.loss_on(batch))
            yield {name: self.mean(value) for name, value in found.items()}

    def derivatives(self, scalar: Tensor, *, create_graph: bool = False) -> dict[str, Tensor]:
        """The derivative of a number by every weight, in float32 or more; zeros where it does not depend on one."""
        parts = [part for parts in self.weights.values() for part in parts]
        unit = torch.ones_like(scalar, requires_grad=create_graph)  # so that what has no second derivative says so
        found = iter(torch.autograd.grad(scalar, parts, unit, allow_unused=True, create_graph=create_graph))
        return {name: _sum(parts, [next(found) for _ in parts]) for name, parts in self.weights.items()}

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes."""
        return self.processes.total(value) / self.processes.count


def number_of(by: str, arguments: Mapping[str, str | bool], name: str) -> float:
    """A number among the arguments of a score, or its default in the language."""
    option = next(one for one in SCORES if one.name == by)
    parameter = option.parameter(name)
    assert parameter is not None
    return float(exact(str(arguments.get(name, parameter.default))))


def num_samples(batch: Any) -> int:
    """The size of the first dimension of the first tensor in a batch, else its length; 0 if it has neither."""
    leaves = [leaf for leaf in tree_leaves(dict(batch) if isinstance(batch, Mapping) else batch) if is_array(leaf)]
    if leaves:
        return int(leaves[0].shape[0])
    return len(batch) if isinstance(batch, Sized) and not isinstance(batch, (list, tuple, Mapping, str)) else 0


def is_array(value: object) -> bool:
    """Whether it is a tensor with a dimension."""
    return isinstance(value, Tensor) and value.dim() > 0


def wide(value: Tensor) -> Tensor:
    """In float32, or float64 if it is that already."""
    return value if value.dtype == torch.float64 else value.float()


def _sum(parts: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """The gradient of memory that several parameters share."""
    total = torch.zeros_like(wide(parts[0].detach()))
    for gradient in gradients:
        if gradient is not None:
            total = total + wide(gradient)
    return total


def ranks_in_rows(scores: Tensor, axis: InputAxis) -> Tensor:
    """Minus the place of every weight within its row, the inputs of one output: 0 for the largest, then -1.

    In a competition of a whole layer by these every row keeps as many weights as any other, to one. NaN and infinity
    stay.
    """
    rows = scores.t() if axis.dim == 0 else scores.flatten(1)
    order = rows.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(rows.shape[1], device=scores.device, dtype=torch.float32).expand(rows.shape)
    ranks = torch.zeros_like(rows, dtype=torch.float32).scatter_(1, order, -places)
    ranks = torch.where(rows.isfinite(), ranks, rows.float())
    return ranks.t().contiguous() if axis.dim == 0 else ranks.reshape(scores.shape)


def comparable(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores in float64 as float32, divided by the power of two that brings the largest of all below 1."""
    peaks = [value.abs().max() for value in scores.values() if value.dtype == torch.float64 and value.numel()]
    if not peaks:
        return dict(scores)
    peak = float(torch.stack([each.cpu() for each in peaks]).max())
    if not 0 < peak < float("inf"):
        return {name: value.float() for name, value in scores.items()}
    exponent = torch.frexp(torch.tensor(peak, dtype=torch.float64)).exponent
    return {name: torch.ldexp(value.double(), -exponent.to(value.device)).float() for name, value in scores.items()}
