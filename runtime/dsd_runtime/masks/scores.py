"""A parameter in, its scores and how to rank them out: which weights go first.

`magnitude` makes no copy: the weights are their own scores, ranked by their bits without the sign.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dsd_runtime.masks.radix import Ranking

Criterion = Literal["magnitude", "random"]
Order = Literal["smallest", "largest"]


@dataclass(frozen=True, slots=True)
class Scores:
    """A tensor and the order in which its elements are kept."""

    values: Tensor
    ranking: Ranking

    def as_values(self) -> Tensor:
        """The same order as plain scores, the largest kept first; a copy unless they already are."""
        if self.ranking == "value":
            return self.values
        magnitude = self.values.detach().float().abs()
        return magnitude if self.ranking == "magnitude" else -magnitude


def magnitude(weights: Tensor, *, order: Order = "smallest") -> Scores:
    """`|w|`; with ``order="smallest"`` the smallest are pruned first, with ``"largest"`` the largest."""
    return Scores(weights.detach(), "magnitude" if order == "smallest" else "smallest_magnitude")


def random(weights: Tensor, *, name: str, key: int) -> Scores:
    """Uniform scores that depend on the key, the parameter's name and its size alone.

    Neither the other parameters, nor their order, nor the device, nor the number of threads plays a part.
    """
    digest = hashlib.sha256(f"{key}\0{name}".encode()).digest()
    generator = torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    values = torch.rand(weights.numel(), generator=generator, dtype=torch.float32).view(weights.shape)
    return Scores(values.to(weights.device), "value")


def score(weights: Tensor, *, name: str, by: Criterion, order: Order, key: int) -> Scores:
    """The scores of one parameter by the criterion a schedule names."""
    if by == "magnitude":
        return magnitude(weights, order=order)
    return random(weights, name=name, key=key)
