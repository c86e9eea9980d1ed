"""A batch in parts: every sample in one of them, weighted so that the mean of the parts is the batch's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from several_ranks import in_ranks
from torch import Tensor, nn

from dsd_runtime.data.batch import CaptionBatch, ImageBatch, SpeechBatch
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.models.captioning import NeuralTalk
from dsd_runtime.models.deepspeech import DeepSpeech1
from dsd_runtime.training import parts
from dsd_runtime.training.shared_dropout import SharedDropout


def part_of(batch: Any, index: int, count: int) -> Part[Any]:
    return parts.part_of(batch, Share(index, count, lambda row: row[None]))


def images(count: int) -> ImageBatch:
    return ImageBatch(torch.arange(float(count)).view(count, 1, 1, 1), torch.arange(count))


@pytest.mark.parametrize(("total", "count"), [(8, 2), (7, 3), (1, 2), (2, 5), (77, 4)])
def test_weighted_parts_are_the_batch(total: int, count: int) -> None:
    several = [part_of(images(total), index, count) for index in range(count)]
    counted = [part for part in several if part.weight]
    assert torch.equal(torch.cat([part.batch.labels for part in counted]), torch.arange(total))
    assert all(len(part) >= 1 and len(part) == part.end - part.start for part in several), "all must compute"
    mean = sum(part.weight * float(part.batch.images.mean()) for part in several) / count
    assert mean == pytest.approx((total - 1) / 2)


def test_rows_of_speech_have_their_own_targets() -> None:
    batch = SpeechBatch(
        torch.arange(24.0).view(3, 4, 2), torch.tensor([4, 3, 2]), torch.tensor([1, 2, 3, 4, 5, 6]),
        torch.tensor([3, 1, 2]), ("abc", "d", "ef"), ("x", None, "y"),
    )  # fmt: skip
    part = part_of(batch, 1, 2).batch
    assert isinstance(part, SpeechBatch)
    assert part.targets.tolist() == [4, 5, 6]
    assert part.texts == ("d", "ef")
    assert part.speakers == (None, "y")
    assert part.features.shape == (2, 4, 2), "as long as the whole batch"
    assert part_of(batch, 0, 2).to("cpu").batch.targets.tolist() == [1, 2, 3]


def test_rows_of_captions() -> None:
    words = torch.arange(6).view(3, 2)
    batch = CaptionBatch(torch.ones(3, 4), words, words + 1, torch.tensor([2, 2, 1]), (("a",), ("b",), ("c",)))
    part = part_of(batch, 2, 3).batch
    assert isinstance(part, CaptionBatch)
    assert (part.words.tolist(), part.targets.tolist(), part.references) == ([[4, 5]], [[5, 6]], (("c",),))


def rows_of(start: int, end: int, total: int, lengths: Tensor | None = None) -> Part[Any]:
    return Part(images(end - start), start, end, total, 1.0, lengths)


def dropped(layer: nn.Module, values: Tensor, rows: tuple[int, int, int] | None, index: int = 0) -> Tensor:
    """What a layer lets through, for some rows of a batch; always from the same generator."""
    torch.manual_seed(3)
    model = nn.Sequential(copy.deepcopy(layer))
    if rows is None:
        return model(values)
    shared = SharedDropout(model, index)
    with shared.of(rows_of(*rows)):
        return model(values)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.Dropout2d(0.3), nn.Dropout(0.0), nn.Dropout(1.0)])
@pytest.mark.parametrize("dim", [0, 1])
def test_rows_are_dropped_as_in_the_whole_batch(layer: nn.Module, dim: int) -> None:
    values = torch.randn((7, 3, 4, 4) if dim == 0 else (2, 7, 4, 4))
    whole = dropped(layer, values, None)
    for start, end in ((0, 3), (3, 7)):
        part = dropped(layer, values.narrow(dim, start, end - start), (start, end, 7))
        assert torch.equal(part, whole.narrow(dim, start, end - start))


def _speech_network() -> nn.Module:
    torch.manual_seed(0)
    return DeepSpeech1(features=4, hidden=3, symbols=5, dropout=0.5)


def _caption_network() -> nn.Module:
    torch.manual_seed(0)
    return NeuralTalk(features=4, hidden=6, vocabulary=7)


def _inputs(network: nn.Module) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Five samples; a part of three has as many samples as the speech has hidden units, and the captions words."""
    lengths = torch.tensor([15, 12, 30, 21, 11])
    drawn = torch.Generator().manual_seed(1)
    if isinstance(network, DeepSpeech1):
        return (torch.randn(5, 30, 4, generator=drawn), lengths), lengths
    return (torch.randn(5, 4, generator=drawn), torch.randint(0, 7, (5, 2), generator=drawn)), lengths


@pytest.mark.parametrize("build", [_speech_network, _caption_network])
def test_packed_frames_and_words_are_dropped_as_in_the_whole_batch(build: Callable[[], nn.Module]) -> None:
    """What the network gives for these samples in one process, and the generators are left alike."""
    network = build()
    inputs, lengths = _inputs(network)
    torch.manual_seed(3)
    output = network(*inputs)
    whole, after = (output[0] if isinstance(output, tuple) else output), torch.get_rng_state()
    shared = SharedDropout(network, 1)
    for start, end in ((0, 3), (3, 5), (2, 5), (4, 5)):
        torch.manual_seed(3)
        with shared.of(rows_of(start, end, 5, lengths)):
            output = network(*(one[start:end] for one in inputs))
        part = output[0] if isinstance(output, tuple) else output
        assert torch.allclose(part, whole[start:end], atol=1e-6), "products of another number of rows round otherwise"
        assert torch.equal(part == 0, whole[start:end] == 0)
        assert torch.equal(torch.get_rng_state(), after)


def test_rows_that_are_no_samples_are_dropped_by_each_process_alone() -> None:
    values = torch.ones(50, 4)
    first, second = (dropped(nn.Dropout(0.5), values, (0, 3, 7), index) for index in range(2))
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first, second)


def test_a_copy_of_the_model_has_layers_of_its_own() -> None:
    """A teacher in evaluation mode drops nothing, whatever its student does."""
    model = nn.Sequential(nn.Dropout(0.5))
    shared = SharedDropout(model, 0)
    teacher = copy.deepcopy(model).eval()
    with shared.of(rows_of(0, 2, 4)):
        assert torch.equal(teacher(torch.ones(2, 3)), torch.ones(2, 3))
    assert torch.equal(model.eval()(torch.ones(2, 3)), torch.ones(2, 3))


def _normalised(rank: int) -> dict[str, Any]:
    """A batch norm over two processes that have 2 and 3 of 5 samples: outputs, gradients, running statistics."""
    import torch.distributed as dist

    from dsd_runtime.masks.processes import Processes
    from dsd_runtime.training.synced_batch_norm import sync_batch_norms

    torch.manual_seed(0)
    model, values = nn.Sequential(nn.BatchNorm2d(3)), torch.randn(5, 3, 2, 2)
    whole = copy.deepcopy(model)
    sync_batch_norms(model, Processes(dist.group.WORLD))
    own = slice(2 * rank, 2 + 3 * rank)
    outputs = []
    for network, part in ((whole, values), (model, values[own])):
        inputs = part.clone().requires_grad_()
        output = network(inputs)
        (output * output.sin()).sum().backward()
        outputs.append((output.detach(), inputs.grad))
    (expected, expected_gradient), (found, gradient) = outputs
    weights = model[0].weight.grad.clone()
    dist.all_reduce(weights)
    near = {"atol": 1e-5, "rtol": 1e-4}
    return {
        "output": torch.allclose(found, expected[own], **near),
        "gradient": torch.allclose(gradient, expected_gradient[own], **near),
        "weights": torch.allclose(weights, whole[0].weight.grad, **near),
        "mean": torch.allclose(model[0].running_mean, whole[0].running_mean, **near),
        "variance": torch.allclose(model[0].running_var, whole[0].running_var, **near),
        "evaluated": torch.allclose(model.eval()(values), whole.eval()(values), **near),
    }


def test_batch_norm_over_processes_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    for found in in_ranks(2, _normalised, tmp_path):
        assert all(found.values()), found
