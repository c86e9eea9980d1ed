"""Large blocks of a sharded network are groups of their own, and change no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from several_ranks import in_ranks
from torch import Tensor, nn

from dsd_runtime.data.registry import open_data
from dsd_runtime.experiment.blocks import blocks_of, shard
from dsd_runtime.masks.shards import whole
from dsd_runtime.models.registry import build_model


class Net(nn.Module):
    """Of four members of lists one is small, and one has a weight that another module has too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(20, 20)
        self.layers = nn.ModuleList([nn.Linear(20, 20), nn.Sequential(nn.Linear(20, 20), nn.ReLU())])
        self.tied = nn.Linear(20, 20, bias=False)
        self.body = nn.Sequential(nn.Linear(20, 20, bias=False), nn.Linear(20, 2))
        self.tied.weight = self.body[0].weight

    def forward(self, values: Tensor) -> Tensor:
        values = self.first(values)
        for layer in self.layers:
            values = layer(values)
        scores: Tensor = self.body(self.tied(values))
        return scores


def _names(model: nn.Module, blocks: list[nn.Module]) -> list[str]:
    return [name for name, module in model.named_modules() if any(module is block for block in blocks)]


def test_members_of_lists_are_blocks_if_they_are_large_and_share_nothing() -> None:
    model = Net()
    assert _names(model, blocks_of(model, large=100)) == ["layers.0", "layers.1.0"]
    assert blocks_of(model) == []
    same = nn.Linear(20, 20)
    assert len(blocks_of(nn.ModuleList([same, nn.Sequential(same)]), large=100)) == 1


@pytest.mark.parametrize(("name", "expected"), [("ds2:layers=2,hidden=600", 2), ("ds1:hidden=1024", 0)])
def test_blocks_of_models(name: str, expected: int) -> None:
    assert len(blocks_of(build_model(name, open_data("spoken").traits))) == expected


def _trained(rank: int) -> dict[str, Any]:
    """Weights after some updates, in one group and in several; and the number of groups."""
    found: dict[str, Any] = {}
    for large in (100, 10_000):
        torch.manual_seed(0)
        model = Net()
        blocks = blocks_of(model, large=large)
        shard(model, blocks)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for update in range(3):
            optimizer.zero_grad()
            drawn = torch.Generator().manual_seed(2 * update + rank)
            nn.functional.cross_entropy(model(torch.randn(8, 20, generator=drawn)), torch.arange(8) % 2).backward()
            optimizer.step()
        model(torch.zeros(1, 20))
        found[str(len(blocks))] = {key: whole(value) for key, value in model.state_dict().items()}
    return found


def test_groups_change_no_number(tmp_path: Path) -> None:
    for found in in_ranks(2, _trained, tmp_path):
        assert found.keys() == {"2", "0"}
        for name, value in found["0"].items():
            assert torch.equal(found["2"][name], value), name
