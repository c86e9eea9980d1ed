"""Networks for runs of several processes."""

from __future__ import annotations

import os

from torch import Tensor, nn


class _Dropping(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers = (nn.Linear(64, 30), nn.ReLU(), nn.Dropout(0.5), nn.Linear(30, num_classes))
        self.body = nn.Sequential(nn.Flatten(), *layers)
        self.unused = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.body(images)
        return scores


def dropping(num_classes: int) -> nn.Module:
    """Dropout by sample, and a weight that nothing uses."""
    return _Dropping(num_classes)


def normed(num_classes: int) -> nn.Module:
    """Batch norm."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 30, bias=False), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, num_classes)
    )


class _Failing(nn.Module):
    """Fails in one process after some updates."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.updates = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0

    def forward(self, images: Tensor) -> Tensor:
        self.updates += self.training
        if self.updates > 5 and os.environ.get("RANK") == "1":
            raise KeyError("a bug of the user")
        scores: Tensor = self.body(images)
        return scores


def failing(num_classes: int) -> nn.Module:
    return _Failing()
