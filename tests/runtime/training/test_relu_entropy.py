"""The entropy of the signs of ReLU inputs against numpy, over all batches, for every way to write a ReLU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_lang.base.errors import DsdError
from dsd_runtime import ReluEntropy
from dsd_runtime.models.deepspeech import DeepSpeech1, DeepSpeech2


class Net(nn.Module):
    """A convolution with a ReLU module and a dense layer with a functional one; the inputs of both are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(1, 6, 3), nn.ReLU(inplace=True), nn.Linear(6 * 36, 20)
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []

    def forward(self, images: Tensor) -> Tensor:
        first = self.conv(images)
        kept = first.detach().numpy().copy()
        second = self.fc(self.act(first).flatten(1))
        self.kept.append((kept, second.detach().numpy().copy()))
        return functional.relu(second)


def entropy_of(activations: np.ndarray) -> float:
    """The formula, in numpy."""
    above = (activations > 0).mean(axis=0)
    below = 1 - above
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nan_to_num(-above * np.log2(above)) + np.nan_to_num(-below * np.log2(below))
    return float(bits.mean())


def test_over_all_batches_as_numpy_and_not_as_the_first_batch() -> None:
    torch.manual_seed(0)
    model, images = Net().eval(), torch.randn(50, 1, 8, 8) + torch.linspace(-2, 2, 50)[:, None, None, None]
    with torch.no_grad(), ReluEntropy(model) as entropy:
        for batch in images.split(16):
            model(batch)
    conv, fc = (np.concatenate([pair[index] for pair in model.kept]) for index in (0, 1))
    layers = entropy.layers()
    assert layers["act"] == (pytest.approx(entropy_of(conv), abs=1e-12), 6)
    assert layers["(model)"] == (pytest.approx(entropy_of(fc), abs=1e-12), 20)
    assert entropy.mean() == pytest.approx((6 * entropy_of(conv) + 20 * entropy_of(fc)) / 26, abs=1e-12)
    first = (6 * entropy_of(model.kept[0][0]) + 20 * entropy_of(model.kept[0][1])) / 26
    assert abs(entropy.mean() - first) > 0.05


RELUS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU(inplace)": nn.ReLU(inplace=True),
    "nn.ReLU6": nn.ReLU6(),
    "nn.Hardtanh": nn.Hardtanh(0.0, 20.0),
    "relu": functional.relu,
    "relu_": lambda x: functional.relu_(x.clone()),
    "relu6": functional.relu6,
    "torch.relu": torch.relu,
    "torch.relu_": lambda x: torch.relu_(x.clone()),
    "method": lambda x: x.relu(),
    "clamp": lambda x: x.clamp(min=0),
    "clip": lambda x: torch.clip(x, 0, 6),
    "clamp_min": lambda x: x.clamp_min(0.0),
    "clamp_": lambda x: x.clone().clamp_(0, 20),
    "hardtanh": lambda x: functional.hardtanh(x, 0.0, 20.0),
}


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)


@pytest.mark.parametrize("function", RELUS.values(), ids=RELUS)
def test_every_way_to_write_a_relu_is_counted_once(function) -> None:
    values = torch.tensor([[1.0, -1.0], [2.0, 0.0], [3.0, -1.0], [-1.0, 0.0]])
    with ReluEntropy(Calls(function)) as entropy:
        entropy._model(values)
    assert [tuple(layer) for layer in entropy.layers().values()] == [
        (pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) / 2), 2)
    ]


@pytest.mark.parametrize("function", [torch.tanh, functional.gelu, lambda x: x.clamp(-1, 1), lambda x: x.clamp(max=3)])
def test_what_is_no_relu_is_not_counted(function) -> None:
    model = Calls(function)
    with ReluEntropy(model) as entropy:
        model(torch.randn(3, 2))
        torch.relu(torch.randn(3, 2))  # outside of the model
    assert entropy.layers() == {}
    assert math.isnan(entropy.mean())


def test_a_module_that_is_called_twice_is_two_layers() -> None:
    act = nn.ReLU()
    model = Calls(lambda x: act(act(x) - 0.5))
    model.act = act
    with ReluEntropy(model) as entropy:
        model(torch.randn(3, 2))
        model(torch.randn(3, 2))
    assert list(entropy.layers()) == ["act", "act#2"]


@pytest.mark.parametrize("kind", [DeepSpeech1, DeepSpeech2])
def test_padding_of_speech_counts_nothing(kind) -> None:
    torch.manual_seed(0)
    model = kind(features=20, hidden=8, symbols=5).eval()
    lengths = torch.tensor([40, 25, 13])
    features = torch.randn(3, 40, 20)
    results = []
    with torch.no_grad():
        for samples in ([[0, 1, 2]], [[0], [1], [2]]):
            with ReluEntropy(model) as entropy:
                for chosen in samples:
                    longest = int(lengths[chosen].max())
                    model(features[chosen, :longest], lengths[chosen])
            results.append(entropy.layers())
    assert results[0].keys() == results[1].keys()
    assert any(name.endswith(".backward") for name in results[0])
    for name, layer in results[0].items():
        assert layer == pytest.approx(results[1][name], abs=1e-12)


def test_positions_that_vary_are_one_sentence() -> None:
    model = Calls(torch.relu)
    with ReluEntropy(model):
        model(torch.randn(3, 4, 2))
        with pytest.raises(DsdError, match=r"has inputs of \[5, 2\] and of \[4, 2\]"):
            model(torch.randn(3, 5, 2))


def test_nothing_is_left_on_the_model_and_no_number_moves() -> None:
    model, images = Net().eval(), torch.randn(4, 1, 8, 8)
    before = model(images)
    with ReluEntropy(model):
        assert torch.equal(model(images), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
