"""A network that writes down how it was called: what it was given, in which mode, and what its dropout drew."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MODEL = ("--model", "experiment.recording:make", "--data", "digits")
"""The flags that make `dsd-run` train it."""


@dataclass(frozen=True)
class Call:
    """One forward pass."""

    is_training: bool
    has_gradients: bool
    autocast: torch.dtype | None
    batch: tuple[float, ...]
    dropped: tuple[bool, ...]
    bias: tuple[float, ...]
    mean: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.batch)


CALLS: list[Call] = []


class Recording(nn.Module):
    """Batch norm, dropout of whole features, a layer. A copy of it writes nothing down."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.is_silent = False
        self.norm = nn.BatchNorm1d(64)
        self.body = nn.Linear(64, num_classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        self._mean_before = self.norm.running_mean.tolist()
        kept = self.drop(torch.ones(64))
        scores: Tensor = self.body(self.norm(pixels) * kept)
        if not self.is_silent:
            CALLS.append(self._call(pixels, kept))
        return scores

    def _call(self, pixels: Tensor, kept: Tensor) -> Call:
        return Call(
            is_training=self.training,
            has_gradients=torch.is_grad_enabled(),
            autocast=torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None,
            batch=tuple(pixels.sum(1).tolist()),
            dropped=tuple((kept == 0).tolist()),
            bias=tuple(self.body.bias.tolist()),
            mean=tuple(self._mean_before),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Recording:
        twin = Recording(self.body.out_features)
        memo[id(self)] = twin
        twin.__dict__ |= copy.deepcopy(self.__dict__, memo)
        twin.is_silent = True
        return twin


def make(num_classes: int) -> nn.Module:
    """What `dsd-run --model experiment.recording:make` builds."""
    return Recording(num_classes)


def training_calls() -> list[Call]:
    """The forward passes of updates, in order."""
    return [call for call in CALLS if call.has_gradients]


def evaluation_calls() -> list[Call]:
    """The forward passes of evaluations, in order."""
    return [call for call in CALLS if not call.has_gradients]
