"""NeuralTalk: the published equations, counts, biases and decoding interface."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from dsd_runtime.models.captioning import NeuralTalk
from dsd_runtime.models.lstm import CaptionLstm, lstm_recurrence


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _small(**options: object) -> NeuralTalk:
    return NeuralTalk(hidden=8, features=12, vocabulary=11, **options)  # type: ignore[arg-type]


def test_counts() -> None:
    model = NeuralTalk()
    sizes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert sizes == {
        "We.weight": (256, 4096),
        "We.bias": (256,),
        "Ws.weight": (2538, 256),
        "WLSTM.weight": (1024, 512),
        "WLSTM.bias": (1024,),
        "Wd.weight": (2538, 256),
        "Wd.bias": (2538,),
    }
    assert sum(value.numel() for value in model.parameters()) == 2_876_138


def _published(model: NeuralTalk, features: Tensor, words: Tensor) -> Tensor:
    """imagernn/lstm_generator.py, sample by sample, gates I, F, O, G, no tanh on the cell."""
    size = model.WLSTM.hidden_size
    matrix = torch.cat((model.WLSTM.bias[:, None], model.WLSTM.weight), dim=1).t()
    rows = []
    for feature, sentence in zip(features, words, strict=True):
        inputs = [model.We.weight @ feature + model.We.bias, *model.Ws.weight[sentence]]
        hidden = cell = torch.zeros(size, dtype=features.dtype)
        outputs = []
        for step in inputs:
            raw = torch.cat((torch.ones(1, dtype=features.dtype), step, hidden)) @ matrix
            i, f, o = raw[: 3 * size].sigmoid().split(size)
            cell = i * raw[3 * size :].tanh() + f * cell
            hidden = o * cell
            outputs.append(model.Wd.weight @ hidden + model.Wd.bias)
        rows.append(torch.stack(outputs[1:]))
    return torch.stack(rows)


def test_forward_and_gradients_are_the_published_ones() -> None:
    model = _small().double().eval()
    features, words = torch.rand(3, 12, dtype=torch.double), torch.randint(0, 11, (3, 5))
    ours, theirs = model(features, words), _published(model, features, words)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    parameters = tuple(model.parameters())
    for mine, other in zip(
        torch.autograd.grad((ours * weights).sum(), parameters),
        torch.autograd.grad((theirs * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def test_gradcheck() -> None:
    projection = torch.randn(4, 2, 12, dtype=torch.double, requires_grad=True)
    recurrent = torch.randn(12, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lstm_recurrence, (projection, recurrent))


def test_decoding_word_by_word_equals_the_teacher_forced_forward() -> None:
    model = _small().eval()
    features, words = torch.rand(3, 12), torch.randint(0, 11, (3, 6))
    expected = model(features, words)
    state = model.start(features)
    for step in range(6):
        logits, state = model.advance(state, words[:, step])
        torch.testing.assert_close(logits, expected[:, step])
    assert [part.shape for part in state] == [(3, 8), (3, 8)]


def test_the_first_bias_is_the_log_frequency_with_maximum_zero() -> None:
    counts = (50, 100, 25, 0, *[5] * 7)
    model = _small(word_counts=counts)
    expected = [math.log(max(count, 1) / 100) for count in counts]
    torch.testing.assert_close(model.Wd.bias.detach(), torch.tensor(expected))
    nn.init.zeros_(model.Wd.bias)
    model.reset_parameters()
    torch.testing.assert_close(model.Wd.bias.detach(), torch.tensor(expected))
    with pytest.raises(ValueError, match="word counts"):
        _small(word_counts=(1, 2))


def test_weights_start_uniform_within_a_tenth() -> None:
    model = NeuralTalk(hidden=64, features=64, vocabulary=100)
    for name, value in model.named_parameters():
        if name not in ("We.bias", "Wd.bias"):
            assert 0.09 < float(value.detach().abs().max()) <= 0.1, name
    assert not model.We.bias.any()


def test_dropout_is_on_while_training_only() -> None:
    model = _small()
    features, words = torch.rand(3, 12), torch.randint(0, 11, (3, 5))
    assert not torch.equal(model(features, words), model(features, words))
    model.eval()
    assert torch.equal(model(features, words), model(features, words))


def test_masking_the_matrix_changes_the_output() -> None:
    model = _small().eval()
    features, words = torch.rand(3, 12), torch.randint(0, 11, (3, 5))
    for columns in (slice(0, 8), slice(8, 16)):
        before = model(features, words)
        with torch.no_grad():
            model.WLSTM.weight[:, columns] *= torch.rand(32, 8) > 0.8
        assert not torch.equal(before, model(features, words))


def test_bf16_autocast_trains() -> None:
    model = _small()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(torch.rand(3, 12), torch.randint(0, 11, (3, 5)))
    logits.float().square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())


def test_the_layer_alone() -> None:
    layer = CaptionLstm(4)
    inputs = torch.randn(3, 2, 4)
    hidden, cell = torch.zeros(2, 4), torch.zeros(2, 4)
    stepped = []
    for value in inputs:
        hidden, cell = layer.step(value, hidden, cell)
        stepped.append(hidden)
    torch.testing.assert_close(layer(inputs), torch.stack(stepped))
