"""Turns a raw image, sound or feature vector into a network's input; serialised as plain numbers.

A data source has a
``preprocessing``. Its description is written to a run's `manifest.json`, and :func:`read_preprocessing` restores it, so
that a trained model can be used without the training data. Shape legend: N batch, C channels, H height, W width, T
frames, F frequency bins, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError

if TYPE_CHECKING:
    from PIL import Image

ImageInput: TypeAlias = "Tensor | Image.Image | str | Path"
SoundInput: TypeAlias = "Tensor | str | Path"


class Preprocessing(Protocol):
    """Called with one item or a list of items, returns the model's arguments: ``model(*preprocess(items))``."""

    def __call__(self, items: Any) -> tuple[Tensor, ...]: ...

    def describe(self) -> dict[str, Any]:
        """Plain data for :func:`read_preprocessing`."""
        ...


@dataclass(frozen=True, slots=True)
class PixelPreprocessing:
    """Small images: their shape, then each channel's mean and deviation in byte units.

    ``shape`` is (C, H, W) of the images as read for training; ``size`` and ``channels`` are what they were resized and
    repeated to afterwards.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: int | None = None
    channels: int | None = None

    def __call__(self, items: ImageInput | Sequence[ImageInput]) -> tuple[Tensor]:
        """Images (files, Pillow images, or tensors [C, H, W] uint8) to [N, C', H', W'] float32."""
        from dsd_runtime.data.images.source import Presentation

        pixels = torch.stack([self._pixels(item) for item in as_items(items, image_axes=3)])
        return (Presentation(self.mean, self.deviation, self.size, self.channels)(pixels),)

    def _pixels(self, item: ImageInput) -> Tensor:
        if isinstance(item, Tensor):
            if item.dtype != torch.uint8 or tuple(item.shape) != self.shape:
                raise DsdError(
                    f"a picture is a tensor {list(item.shape)} of {item.dtype}",
                    help=f"give {list(self.shape)} of torch.uint8, a Pillow image, or a path",
                )
            return item
        from torchvision.transforms.v2 import functional

        channels, height, width = self.shape
        shown = _picture(item).convert("L" if channels == 1 else "RGB")
        if shown.size != (width, height):
            shown = shown.resize((width, height), 3)  # bicubic, as for the training set
        pixels: Tensor = functional.pil_to_tensor(shown)
        return pixels

    def describe(self) -> dict[str, Any]:
        return {"kind": "pixels", **asdict(self)}


@dataclass(frozen=True, slots=True)
class PhotoPreprocessing:
    """Photographs: the evaluation crop of one of the paper's recipes (`resnet`, `googlenet`, `vgg`)."""

    recipe: str
    side: int

    def __call__(self, items: ImageInput | Sequence[ImageInput]) -> tuple[Tensor]:
        """Photographs (files or Pillow images) to images [N, 3, side, side] float32."""
        from dsd_runtime.data.images.recipes import recipe_named

        recipe = recipe_named(self.recipe, side=self.side, augment=False)
        return (torch.stack([recipe.evaluation(_picture(item).convert("RGB")) for item in as_items(items)]),)

    def describe(self) -> dict[str, Any]:
        return {"kind": "photo", **asdict(self)}


@dataclass(frozen=True, slots=True)
class SoundPreprocessing:
    """Speech: the log spectrogram's settings, and each bin's mean and deviation (None: per recording)."""

    settings: Mapping[str, Any]
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def __call__(self, items: SoundInput | Sequence[SoundInput]) -> tuple[Tensor, Tensor]:
        """Files, or samples [L] float32 in -1..1 at the training sample rate, to features [N, T, F] and lengths [N]."""
        from dsd_runtime.data.speech.audio import read_audio
        from dsd_runtime.data.speech.features import (
            FeatureSettings,
            Normalisation,
            log_spectrogram,
            measure_normalisation,
        )

        settings = FeatureSettings(**self.settings)
        features = []
        for item in as_items(items, image_axes=1):
            samples = item if isinstance(item, Tensor) else read_audio(Path(item), sample_rate=settings.sample_rate)
            spectrogram = log_spectrogram(samples, settings)
            if self.mean is None or self.deviation is None:
                normalisation = measure_normalisation([spectrogram])
            else:
                normalisation = Normalisation(torch.tensor(self.mean), torch.tensor(self.deviation))
            features.append(normalisation.apply(spectrogram))
        lengths = torch.tensor([frames.shape[0] for frames in features])
        return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths

    def describe(self) -> dict[str, Any]:
        return {"kind": "sound", "settings": dict(self.settings), "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True, slots=True)
class FeaturePreprocessing:
    """Feature vectors [D], or tensors that are the network's input without change: multiplied by one number."""

    scale: float = 1.0

    def __call__(self, items: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """One tensor, or a list of tensors of the same shape, to a batch [N, ...] float32."""
        tensors = [items] if isinstance(items, Tensor) else list(items)
        batch = torch.stack([tensor.to(torch.float32) for tensor in tensors])
        return (batch if self.scale == 1.0 else batch * self.scale,)

    def describe(self) -> dict[str, Any]:
        return {"kind": "features", "scale": self.scale}


_KINDS: Mapping[str, Callable[..., Preprocessing]] = {
    "pixels": lambda **parts: PixelPreprocessing(**_with_tuples(parts)),
    "photo": PhotoPreprocessing,
    "sound": lambda **parts: SoundPreprocessing(**_with_tuples(parts)),
    "features": FeaturePreprocessing,
}


def read_preprocessing(description: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing of a description; raises DsdError if the description has another version."""
    try:
        parts = {name: value for name, value in description.items() if name != "kind"}
        return _KINDS[description["kind"]](**parts)
    except (AttributeError, KeyError, TypeError) as error:
        raise DsdError("the preprocessing in the run's `manifest.json` was written by a different version") from error


def as_items(items: Any, *, image_axes: int = 0) -> list[Any]:
    """One item or several as a list; a tensor with one more axis than an item is several."""
    if isinstance(items, Tensor):
        return list(items) if image_axes and items.ndim == image_axes + 1 else [items]
    return list(items) if isinstance(items, list | tuple) else [items]


def _with_tuples(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parts.items()}


def _picture(item: ImageInput) -> Image.Image:
    from PIL import Image

    from dsd_runtime.data.images.encoded import DECODING_ERRORS, opened_image

    if isinstance(item, Image.Image):
        return item
    if isinstance(item, Tensor):
        raise DsdError("a photograph is given as a tensor", help="give a Pillow image or a path")
    try:
        with opened_image(Path(item)) as image:
            image.load()
            return image.copy()
    except DECODING_ERRORS as error:
        raise DsdError(f"the picture `{item}` cannot be read: {error}") from error
