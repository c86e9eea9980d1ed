"""Finds NaN and infinity in a model and names the tensor: one pass over memory and one number read back.

It checks all trained weights, and the buffers and frozen weights that were finite when the session began (a causal mask
of -inf is intended, NaN in batch-norm statistics is not).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.shards import local_of

_HELP = "lower the learning rate, set `clip=`, or look at the data"


class Finiteness:
    """Checks one model."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        untrained = [name for name, _ in _untrained(model)]
        broken = {name for name, _ in first_broken(_untrained(model), all_of_them=True)}
        self._watched = frozenset(untrained) - broken

    def require(self, where: str, *, gradients: bool = False) -> None:
        """Raises :class:`DsdError` with the name of the first weight or buffer that is not finite.

        ``where`` is appended to the message ("after update 37"). With ``gradients``, those of the last update are
        checked too.
        """
        for name, word in first_broken(self._tensors()):
            raise DsdError(f"`{name}` is {word} {where}", help=_HELP)
        for name, word in first_broken(_gradients(self._model) if gradients else ()):
            raise DsdError(f"the gradient of `{name}` is {word} {where}", help=_HELP)

    def first(self) -> str | None:
        """The name of the first weight or buffer that is not finite."""
        return next((name for name, _ in first_broken(self._tensors())), None)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, weight) for name, weight in self._model.named_parameters() if weight.requires_grad)
        yield from ((name, value) for name, value in _untrained(self._model) if name in self._watched)


def _untrained(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((name, weight) for name, weight in model.named_parameters() if not weight.requires_grad)
    yield from model.named_buffers()


def _gradients(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, weight.grad) for name, weight in model.named_parameters() if weight.grad is not None)


@torch.no_grad()
def first_broken(tensors: Iterable[tuple[str, Tensor]], *, all_of_them: bool = False) -> list[tuple[str, str]]:
    """The first tensor that is not finite (or all of them) with `nan` or `infinite`; empty if all are finite.

    Of sharded tensors only this process's rows are looked at.
    """
    own = ((name, local_of(value.detach())) for name, value in tensors)
    named = [(name, value) for name, value in own if _can_be_broken(value)]
    if not named:
        return []
    largest = [
        torch.linalg.vector_norm(_values(value), ord=math.inf).float().to(named[0][1].device) for _, value in named
    ]
    found = [
        (name, "nan" if math.isnan(bound) else "infinite")
        for (name, _), bound in zip(named, torch.stack(largest).tolist(), strict=True)
        if not math.isfinite(bound)
    ]
    return found if all_of_them else found[:1]


def _can_be_broken(value: Tensor) -> bool:
    return (value.is_floating_point() or value.is_complex()) and value.numel() > 0 and not value.is_meta


def _values(value: Tensor) -> Tensor:
    """The stored numbers, in a dtype in which norms can be computed."""
    stored = value.coalesce().values() if value.layout == torch.sparse_coo else value
    return stored if stored.is_complex() or stored.dtype.itemsize > 1 else stored.float()
