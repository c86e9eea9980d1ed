"""Measures the entropy of the sign of every ReLU's input over all samples that a model processes.

For each position of a layer, p is the share of samples whose input of the ReLU is above 0, and H = -p log2 p - (1 - p)
log2 (1 - p). A layer's entropy is the mean over its positions, the model's the mean over its layers weighted by their
channels (Quétu and Tartaglione, DSD^2, AAAI 2024; their script takes p from the first batch only).

Shape legend: N samples (or packed frames), C channels, ... the other dimensions of a position.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dsd_lang.base.errors import DsdError

_ROOT = "(model)"

_RELUS = frozenset((
    torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu_, functional.relu6,
))  # fmt: skip
_CLIPPED = frozenset((
    torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_,
    torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_, functional.hardtanh, functional.hardtanh_,
))  # fmt: skip


class LayerEntropy(NamedTuple):
    """The mean entropy of a layer's positions, in bits, and its channels."""

    entropy: float
    channels: int


@dataclass(slots=True)
class _Counts:
    """How many of ``total`` samples had an input above 0, by position [C, ...]."""

    positives: Tensor
    total: int


class ReluEntropy:
    """Counts inside its block; use it around a loop over validation data with the model in evaluation mode.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> with ReluEntropy(model) as entropy:
    ...     _ = model(torch.rand(8, 3))
    >>> list(entropy.layers())
    ['1']
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._counts: dict[str, _Counts] = {}
        self._calls: Counter[str] = Counter()
        self._inside: list[str] = []
        self._leaving = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, module in self._model.named_modules():
                begins, ends = self._hooks(name)
                stack.callback(module.register_forward_pre_hook(begins).remove)
                stack.callback(module.register_forward_hook(ends, always_call=True).remove)
            stack.enter_context(_Watch(self._relu, self._recurrence))
            self._leaving = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._leaving.close()

    def layers(self) -> dict[str, LayerEntropy]:
        """The entropy of each ReLU in the order of the forward pass, by the calling module; `#2` is its second call."""
        return {name: _entropy(counts) for name, counts in self._counts.items()}

    def mean(self) -> float:
        """The mean over all layers weighted by their channels, in bits (0 to 1); NaN without a ReLU."""
        found = self.layers().values()
        channels = sum(layer.channels for layer in found)
        return sum(layer.entropy * layer.channels for layer in found) / channels if channels else math.nan

    def _hooks(self, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def begins(module: nn.Module, inputs: Any) -> None:
            if not self._inside:
                self._calls.clear()
            self._inside.append(name or _ROOT)

        def ends(module: nn.Module, inputs: Any, output: Any) -> None:
            self._inside.pop()

        return begins, ends

    def _relu(self, values: Tensor) -> None:
        """Counts the input of one ReLU [N, C, ...]."""
        if self._inside and values.is_floating_point() and values.dim() > 1:
            self._count(self._inside[-1], values)

    def _recurrence(self, forward: Tensor, backward: Tensor) -> None:
        """Counts the states [N, C] of a clipped recurrence, which are above 0 exactly where their input is."""
        if self._inside:
            self._count(f"{self._inside[-1]}.forward", forward)
            self._count(f"{self._inside[-1]}.backward", backward)

    def _count(self, caller: str, values: Tensor) -> None:
        self._calls[caller] += 1
        name = caller if self._calls[caller] == 1 else f"{caller}#{self._calls[caller]}"
        positives = (values.detach() > 0).sum(dim=0, dtype=torch.int32)
        counts = self._counts.setdefault(name, _Counts(torch.zeros_like(positives), 0))
        if counts.positives.shape != positives.shape:
            raise DsdError(
                f"`entropy.relu` is measured by position, and the ReLU `{name}` has inputs of {list(positives.shape)} "
                f"and of {list(counts.positives.shape)}",
                help="give the ReLU packed frames [N, C] without padding, as `ds1` does, or do not read `entropy.relu`",
            )
        counts.positives += positives
        counts.total += len(values)


def _entropy(counts: _Counts) -> LayerEntropy:
    share = counts.positives.double() / max(1, counts.total)
    bits = (torch.special.entr(share) + torch.special.entr(1 - share)) / math.log(2)
    return LayerEntropy(float(bits.mean()), int(counts.positives.shape[0]))


class _Watch(TorchFunctionMode):
    """Intercepts the input of every ReLU: modules, functions, methods, clips at 0."""

    def __init__(self, relu: Callable[[Tensor], None], recurrence: Callable[[Tensor, Tensor], None]) -> None:
        from dsd_runtime.models.recurrence import clipped_recurrence  # imports torch's compiler

        super().__init__()
        self._relu, self._recurrence, self._function = relu, recurrence, clipped_recurrence

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is self._function:
            return func(*args, **given, on_states=self._recurrence)
        if func in _RELUS or (func in _CLIPPED and _lower_bound(args, given) == 0):
            self._relu(args[0] if args else given["input"])
        return func(*args, **given)


def _lower_bound(args: Sequence[Any], given: Mapping[str, Any]) -> Any:
    bound = args[1] if len(args) > 1 else given.get("min", given.get("min_val"))
    return bound if isinstance(bound, int | float) else None
