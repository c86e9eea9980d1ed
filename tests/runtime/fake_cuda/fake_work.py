"""Every model of the catalogue with its task and a batch, at small sizes, as fake tensors show only structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from fake_cuda import CUDA
from torch import nn

from dsd_runtime.data.batch import Batch, CaptionBatch, ImageBatch, SpeechBatch
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.tasks.choose import task_for
from dsd_runtime.training.tasks.task import Task

_SMALL = {
    "ds1": "ds1:hidden=16",
    "ds2": "ds2:hidden=16,layers=2,channels=2",
    "neuraltalk": "neuraltalk:hidden=8",
    "resnet20": "resnet20:width=4",
}
_LARGE_IMAGES = {"googlenet": 96, "vgg16": 32, "resnet18": 32, "resnet50": 32}
_SYMBOLS = tuple("abcdefghijklmnopqrst")
_WORDS = ("<END>", *"abcdefghijklmnopqrst")


@dataclass(frozen=True)
class Work:
    model: nn.Module
    task: Task
    traits: DataTraits

    def batch(self, *, samples: int = 4, device: torch.device = CUDA) -> Batch:
        made = {"classification": self._images, "ctc": self._speech, "captioning": self._captions}[self.traits.task]
        return made(samples).to(device)

    def batches(self, count: int = 2) -> Iterator[Batch]:
        return (self.batch() for _ in range(count))

    def _images(self, samples: int) -> Batch:
        assert self.traits.image_shape is not None
        return ImageBatch(torch.randn(samples, *self.traits.image_shape), torch.zeros(samples, dtype=torch.int64))

    def _speech(self, samples: int) -> Batch:
        lengths, ones = torch.full((samples,), 24), torch.ones(samples, dtype=torch.int64)
        features = torch.randn(samples, 24, self.traits.num_features or 1)
        return SpeechBatch(features, lengths, torch.ones(samples, dtype=torch.int64), ones, ("a",) * samples)

    def _captions(self, samples: int) -> Batch:
        words = torch.zeros(samples, 3, dtype=torch.int64)
        features = torch.randn(samples, self.traits.feature_dim or 1)
        references = (("a cat sleeps",),) * samples
        return CaptionBatch(features, words, words + 1, torch.full((samples,), 3), references)


def traits_of(name: str) -> DataTraits:
    if name in ("ds1", "ds2"):
        return DataTraits("ctc", alphabet=_SYMBOLS, num_features=161)
    if name == "neuraltalk":
        return DataTraits("captioning", vocabulary=_WORDS, feature_dim=12)
    side = _LARGE_IMAGES.get(name, 16)
    return DataTraits("classification", num_classes=10, image_shape=(3, side, side))


def work_of(name: str, *, device: torch.device = CUDA, is_full: bool = False) -> Work:
    """To be called inside `fake_cuda()`; ``is_full``: with all parameters."""
    traits = traits_of(name)
    model = build_model(name if is_full else _SMALL.get(name, name), traits)
    return Work(model.to(device), task_for(traits), traits)
