"""DS1 and DS2: counts of Tables 6 and 8, exactness under padding, and stable training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_runtime.models.deepspeech import DeepSpeech1, DeepSpeech2
from dsd_runtime.models.frames import Frames

LENGTHS = torch.tensor([90, 70, 33, 51])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _small(name: str) -> nn.Module:
    if name == "ds1":
        return DeepSpeech1(hidden=48, features=40)
    return DeepSpeech2(hidden=32, layers=2, channels=4, features=40, symbols=29)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_ds1_rows_of_table_6() -> None:
    model = DeepSpeech1()
    rows = {name: _count(child) for name, child in model.named_children() if name != "dropout"}
    assert rows == {
        "conv": 1_814_528,
        "fc1": 1_049_600,
        "fc2": 1_049_600,
        "birnn3": 3_146_752,
        "fc4": 1_049_600,
        "ctc": 29_725,
    }
    assert _count(model) == 8_139_805


def test_ds2_rows_of_table_8() -> None:
    model = DeepSpeech2(symbols=54)
    assert _count(model.conv0) + _count(model.norm0) == 19_616
    assert _count(model.conv1) + _count(model.norm1) == 239_168
    assert [_count(layer) for layer in model.birnn] == [8_507_840] + [9_296_320] * 6
    assert _count(model.fc) + _count(model.norm) == 3_101_120
    assert _count(model.ctc) == 95_094
    assert _count(model) == 67_740_758


@pytest.mark.parametrize("name", ["ds1", "ds2"])
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    model = _small(name)
    features = torch.randn(4, 90, 40)
    features[torch.arange(90) >= LENGTHS[:, None]] = 1e3  # padding may hold anything
    model(features, LENGTHS)
    model.eval()
    with torch.no_grad():
        together, lengths = model(features, LENGTHS)
        for index, length in enumerate(LENGTHS.tolist()):
            alone, alone_lengths = model(features[index : index + 1, :length], LENGTHS[index : index + 1])
            valid = int(lengths[index])
            assert valid == int(alone_lengths[0])
            torch.testing.assert_close(together[index, :valid], alone[0, :valid], rtol=1e-4, atol=1e-4)
            assert not together[index, valid:].any()


def test_ds2_statistics_leave_padding_out() -> None:
    model = _small("ds2")
    twin = _small("ds2")
    twin.load_state_dict(model.state_dict())
    features = torch.randn(4, 90, 40)
    model(features, LENGTHS)
    twin(functional.pad(features, (0, 0, 0, 300), value=7.0), LENGTHS)
    for mine, other in zip(model.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_output_lengths() -> None:
    features = torch.randn(3, 31, 40)
    lengths = torch.tensor([31, 12, 5])
    logits, outputs = DeepSpeech1(hidden=16, features=40).eval()(features, lengths)
    assert outputs.tolist() == [11, 1, 0]
    assert logits.shape == (3, 11, 29)
    logits, outputs = DeepSpeech1(hidden=16, features=40, stride=3).eval()(features, lengths)
    assert outputs.tolist() == [7, 1, 0]
    logits, outputs = _small("ds2").eval()(features, lengths)
    assert outputs.tolist() == [16, 6, 3]
    assert logits.shape == (3, 16, 29)
    too_short, outputs = DeepSpeech1(hidden=16, features=40).eval()(features[:, :5], torch.tensor([5, 5, 5]))
    assert outputs.tolist() == [0, 0, 0]
    assert too_short.shape == (3, 1, 29)


def test_the_ctc_layer_is_declared() -> None:
    from dsd_runtime.engine.layers import inventory

    for name in ("ds1", "ds2"):
        last = inventory(_small(name))[-1]
        assert (last.name, last.kind, last.roles) == ("ctc", "ctc", ("output",))


def _ctc_loss(model: nn.Module, features: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    logits, lengths = model(features, LENGTHS)
    log_probabilities = logits.log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(log_probabilities, targets, lengths, target_lengths, reduction="none").mean()


@pytest.mark.parametrize("name", ["ds1", "ds2"])
def test_the_preset_overfits_four_utterances(name: str) -> None:
    model = _small(name)
    features, targets = torch.randn(4, 90, 40), torch.randint(1, 29, (22,))
    target_lengths = torch.tensor([8, 6, 3, 5])
    optimizer = torch.optim.SGD(model.parameters(), lr=3e-4, momentum=0.9, nesterov=True)
    first = last = 0.0
    for update in range(150):
        loss = _ctc_loss(model, features, targets, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        optimizer.step()
        last = loss.item()
        first = first or last
        assert last < 1.5 * first, f"update {update} diverges"
    assert last < first / 3


@pytest.mark.parametrize("name", ["ds1", "ds2"])
def test_bf16_autocast_trains(name: str) -> None:
    model = _small(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, _ = model(torch.randn(4, 90, 40), LENGTHS)
    logits.float().square().mean().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())


def test_pack_and_unpack_are_inverse_on_valid_frames() -> None:
    frames = Frames.of(torch.tensor([3, 1, 0]), 4)
    padded = torch.randn(3, 4, 2)
    rows = frames.pack(padded)
    assert rows.shape == (4, 2)
    again = frames.unpack(rows)
    assert torch.equal(frames.pack(again), rows)
    assert not again[1, 1:].any()
    assert not again[2].any()
