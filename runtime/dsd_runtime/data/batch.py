"""The batch types of the tasks: frozen data that can be moved between devices.

Lengths and transcripts stay on the CPU: the host reads them, and would have to wait for a GPU to get them back.

Shape legend: N batch, C channels, H height, W width, T frames, F features per frame, L tokens, S target symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Images [N, C, H, W] float32 with class indices [N] int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def rows(self, start: int, end: int) -> ImageBatch:
        """Some of the samples."""
        return ImageBatch(self.images[start:end], self.labels[start:end])

    def to(self, device: torch.device | str) -> ImageBatch:
        return ImageBatch(self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True))


@dataclass(frozen=True, slots=True)
class SpeechBatch:
    """Features [N, T, F] float32 padded with 0, valid frames [N], flat targets [sum S], their lengths [N], texts.

    ``speakers`` says who spoke each, where the data knows; empty where it does not.
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: tuple[str, ...]
    speakers: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return int(self.lengths.shape[0])

    def rows(self, start: int, end: int) -> SpeechBatch:
        """Some of the samples, as long as those of the whole batch."""
        ends = [0, *self.target_lengths.cumsum(0).tolist()]
        return SpeechBatch(
            self.features[start:end],
            self.lengths[start:end],
            self.targets[ends[start] : ends[end]],
            self.target_lengths[start:end],
            self.texts[start:end],
            self.speakers[start:end],
        )

    def to(self, device: torch.device | str) -> SpeechBatch:
        return SpeechBatch(
            self.features.to(device, non_blocking=True),
            self.lengths,
            self.targets,
            self.target_lengths,
            self.texts,
            self.speakers,
        )


@dataclass(frozen=True, slots=True)
class CaptionBatch:
    """Image features [N, D], input words [N, L] (START first), target words [N, L] (END last), valid words [N].

    ``references`` holds, for evaluation, the lower-case reference captions of each sample, words joined by spaces.
    """

    features: Tensor
    words: Tensor
    targets: Tensor
    lengths: Tensor
    references: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return int(self.lengths.shape[0])

    def rows(self, start: int, end: int) -> CaptionBatch:
        """Some of the samples, as long as those of the whole batch."""
        return CaptionBatch(
            self.features[start:end],
            self.words[start:end],
            self.targets[start:end],
            self.lengths[start:end],
            self.references[start:end],
        )

    def to(self, device: torch.device | str) -> CaptionBatch:
        return CaptionBatch(
            self.features.to(device, non_blocking=True),
            self.words.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.lengths,
            self.references,
        )


Batch = ImageBatch | SpeechBatch | CaptionBatch
