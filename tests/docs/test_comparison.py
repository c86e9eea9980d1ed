"""What README.md says of the tools beside this one, done with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

import dsd_lang
import dsd_runtime


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))


def train(model: nn.Module, step: Callable[[], object], optimizer: torch.optim.Optimizer) -> None:
    inputs, labels = torch.randn(64, 20), torch.randint(0, 2, (64,))
    for _ in range(5):
        optimizer.zero_grad()
        cross_entropy(model(inputs), labels).backward()
        step()


def off_mask(optimizer: torch.optim.Optimizer, weight: torch.Tensor, mask: torch.Tensor) -> tuple[float, float]:
    """The largest stored value and the largest momentum of a pruned weight."""
    momentum = optimizer.state[weight]["momentum_buffer"]
    return float(weight.detach()[~mask].abs().max()), float(momentum[~mask].abs().max())


def test_the_session_keeps_names_zeros_and_clears_momentum() -> None:
    model = network()
    names = list(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    plan = dsd_lang.compile("dense 5it lr=0.1; sparse 50% 5it")
    session = dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=5)
    train(model, session.step, optimizer)
    session.begin_step()
    train(model, session.step, optimizer)
    assert list(model.state_dict()) == names
    assert off_mask(optimizer, model[0].weight, session.masks["0.weight"]) == (0.0, 0.0)


def test_torch_prune_renames_and_goes_on_moving_pruned_weights() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train(model, optimizer.step, optimizer)
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    train(model, optimizer.step, optimizer)
    assert {"0.weight_orig", "0.weight_mask"} <= set(model.state_dict())
    stored, momentum = off_mask(optimizer, model[0].weight_orig, model[0].weight_mask.bool())
    assert stored > 0
    assert momentum > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_ao_pruning_renames_and_goes_on_moving_pruned_weights() -> None:
    from torch.ao.pruning import WeightNormSparsifier

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train(model, optimizer.step, optimizer)
    sparsifier = WeightNormSparsifier(sparsity_level=0.5, sparse_block_shape=(1, 1), zeros_per_block=1)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    train(model, optimizer.step, optimizer)
    assert "0.parametrizations.weight.original" in model.state_dict()
    original, mask = model[0].parametrizations.weight.original, model[0].parametrizations.weight[0].mask.bool()
    stored, momentum = off_mask(optimizer, original, mask)
    assert stored > 0
    assert momentum > 0
