"""Where a weight's inputs lie, from the modules to the masks of a session."""

from __future__ import annotations

import pytest
import torch
from torch import nn, optim

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_runtime import attach, inventory
from dsd_runtime.masks import InputAxis, NofM, choose_masks, input_axes


class _Decoder(nn.Module):
    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.down = nn.Conv2d(4, 8, 3)
        self.up = nn.ConvTranspose2d(8, 6, 3, groups=groups)
        self.again = self.up
        self.cell = nn.LSTM(8, 4)
        self.fc = nn.Linear(8, 6)


@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
def test_only_transposed_convolutions_are_turned(kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(4, 8), kind(8, 6, 2), nn.Conv2d(8, 8, 3), nn.LSTM(8, 4), nn.Embedding(4, 8))
    assert input_axes(inventory(model)) == {"1.weight": InputAxis(dim=0)}
    assert input_axes(inventory(kind(8, 6, 2, groups=2))) == {"weight": InputAxis(dim=0, blocks=2)}


def test_a_module_under_two_names_is_turned_under_both() -> None:
    assert set(input_axes(inventory(_Decoder()))) == {"up.weight", "again.weight"}


def test_a_session_groups_each_weight_along_its_own_inputs() -> None:
    model = _Decoder()
    session = attach(
        dsd_lang.compile("sparse 2:4 layers=all 1it lr=0.1"),
        model,
        optim.SGD(model.parameters(), lr=0.1),
        steps_per_epoch=1,
    )
    masks = session.masks
    assert (masks["up.weight"].view(2, 4, 6, 3, 3).sum(1) == 2).all()
    for name in ("down.weight", "fc.weight", "cell.weight_ih_l0", "cell.weight_hh_l0"):
        rows = masks[name].movedim(1, -1)
        assert (rows.reshape(-1, 4).sum(-1) == 2).all(), name


def test_a_grouped_transposed_convolution_that_does_not_fit_is_named() -> None:
    model = _Decoder(groups=2).up
    fits = choose_masks(weights={"weight": model.weight}, target=NofM(2, 4), input_axes=input_axes(inventory(model)))
    assert fits.alive_counts == {"weight": model.weight.numel() // 2}
    narrow = nn.ConvTranspose2d(12, 6, 3, groups=2)
    with pytest.raises(DsdError, match=r"`weight`.*6 inputs, not a multiple of 4"):
        choose_masks(weights={"weight": narrow.weight}, target=NofM(2, 4), input_axes=input_axes(inventory(narrow)))
    assert torch.isfinite(narrow.weight).all()
