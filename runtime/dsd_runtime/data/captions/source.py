"""Batches of image features and captions for the captioning models.

An epoch has as many samples as there are training captions: random images with one random caption each (NeuralTalk,
models.md 2.6). Evaluation shows every (image, caption) pair once; an image's first pair has all its references. Shape
legend: N batch, D features, L words of the batch's longest caption and its END.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dsd_runtime.data.batch import CaptionBatch
from dsd_runtime.data.captions.text import WordList, build_vocabulary
from dsd_runtime.data.draws import generator
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.data.prefetch import ordered_map
from dsd_runtime.data.preprocessing import FeaturePreprocessing
from dsd_runtime.data.splits import fingerprint_of, num_batches, sizes_of, split_named
from dsd_runtime.data.traits import DataTraits

CAPTION_RECIPE_VERSION = 1
"""Part of every fingerprint: raised when the same files would give other numbers."""

IGNORED = -100
"""The target of a padded position, which `torch.nn.functional.cross_entropy` leaves out."""


@dataclass(frozen=True, slots=True)
class CaptionedImages:
    """One split: rows of the feature table, and each image's captions as words and as vocabulary indices."""

    rows: tuple[int, ...]
    sentences: tuple[tuple[str, ...], ...]
    tokens: tuple[tuple[tuple[int, ...], ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_captions(self) -> int:
        return sum(len(captions) for captions in self.tokens)


@dataclass(frozen=True, slots=True)
class CaptionSource:
    """A data source over a feature table [images, D] (any float type) and splits that index into it.

    ``scale`` is the factor by which the raw features were multiplied.
    """

    name: str
    features: Tensor
    splits: Mapping[str, CaptionedImages]
    vocabulary: WordList
    content: str
    scale: float = 1.0
    task: str = field(default="captioning", init=False)

    @property
    def fingerprint(self) -> str:
        sizes = sorted((name, len(split), split.num_captions) for name, split in self.splits.items())
        return fingerprint_of(CAPTION_RECIPE_VERSION, self.content, sizes, len(self.vocabulary))

    @property
    def traits(self) -> DataTraits:
        return DataTraits(
            task=self.task,
            vocabulary=self.vocabulary.words,
            word_counts=self.vocabulary.counts,
            feature_dim=int(self.features.shape[1]),
        )

    @property
    def preprocessing(self) -> FeaturePreprocessing:
        """The preprocessing of these features, for a run's manifest."""
        return FeaturePreprocessing(self.scale)

    def with_preprocessing(self, preprocessing: FeaturePreprocessing) -> CaptionSource:
        """The same features scaled for a network that was trained with another scale."""
        scale = preprocessing.scale
        return replace(self, features=self.features * (scale / self.scale), scale=scale)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of images (not captions) in each split."""
        return sizes_of(self.splits)

    def updates_per_epoch(self, batch_size: int) -> int:
        """The number of training captions divided by the batch size, rounded down: 30,000 / 100 = 300 for Flickr-8k."""
        return max(1, self.splits["train"].num_captions // batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[CaptionBatch]:
        alone = Share(0, 1, lambda row: row[None])
        parts = self.train_parts(batch_size=batch_size, epoch=epoch, key=key, share=alone, skip=skip, workers=workers)
        yield from (part.batch for part in parts)

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[CaptionBatch]]:
        """What one of several processes trains on: it prepares its own samples only, as long as the whole batch."""
        train = self.splits["train"]

        def part(index: int) -> Part[CaptionBatch]:
            draws = generator(key, "captions", epoch, index)
            images = torch.randint(0, len(train), (batch_size,), generator=draws).tolist()
            shares = torch.rand(batch_size, generator=draws, dtype=torch.float64).tolist()
            chosen = [
                (image, int(share * len(train.tokens[image]))) for image, share in zip(images, shares, strict=True)
            ]
            rows, longest = share.rows(len(chosen)), max(len(train.tokens[image][one]) for image, one in chosen)
            return rows.part(self._batch(train, chosen[rows.start : rows.end], longest=longest))

        yield from ordered_map(part, range(skip, self.updates_per_epoch(batch_size)), workers=workers)

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[CaptionBatch]:
        chosen = split_named(self.splits, split)
        pairs = [(image, caption) for image in range(len(chosen)) for caption in range(len(chosen.tokens[image]))]

        def batch(index: int) -> CaptionBatch:
            return self._batch(chosen, pairs[index * batch_size : (index + 1) * batch_size], with_references=True)

        yield from ordered_map(batch, range(num_batches(len(pairs), batch_size)), workers=workers)

    def _batch(
        self,
        split: CaptionedImages,
        pairs: Sequence[tuple[int, int]],
        *,
        longest: int = 0,
        with_references: bool = False,
    ) -> CaptionBatch:
        words, targets, lengths = padded([split.tokens[image][caption] for image, caption in pairs], longest=longest)
        rows = torch.tensor([split.rows[image] for image, _ in pairs])
        references: tuple[tuple[str, ...], ...] = ()
        if with_references:
            references = tuple(split.sentences[image] if caption == 0 else () for image, caption in pairs)
        return CaptionBatch(self.features[rows].to(torch.float32), words, targets, lengths, references)


def padded(captions: Sequence[Sequence[int]], *, longest: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Input words [N, L] (START first, then 0s), targets [N, L] (END last, then IGNORED) and lengths [N].

    They are as long as the longest of these captions, or of ``longest`` words.

    >>> padded([[5, 6], [7]])
    (tensor([[0, 5, 6],
            [0, 7, 0]]), tensor([[   5,    6,    0],
            [   7,    0, -100]]), tensor([3, 2]))
    """
    longest = max(longest, *(len(caption) for caption in captions)) + 1
    words = torch.tensor([[0, *caption] + [0] * (longest - 1 - len(caption)) for caption in captions])
    targets = torch.tensor([[*caption, 0] + [IGNORED] * (longest - 1 - len(caption)) for caption in captions])
    return words, targets, torch.tensor([len(caption) + 1 for caption in captions])


def captioned_splits(
    images: Mapping[str, Sequence[tuple[int, Sequence[Sequence[str]]]]], threshold: int
) -> tuple[dict[str, CaptionedImages], WordList]:
    """Splits of (feature row, captions as words) to splits of indices, with the vocabulary of the training captions.

    Words below the threshold are dropped from the token sequences and kept in the references.
    """
    train = (words for _, captions in images["train"] for words in captions)
    vocabulary = build_vocabulary(train, threshold)
    index = vocabulary.index
    splits = {
        name: CaptionedImages(
            rows=tuple(row for row, _ in members),
            sentences=tuple(tuple(" ".join(words) for words in captions) for _, captions in members),
            tokens=tuple(
                tuple(tuple(index[word] for word in words if word in index) for words in captions)
                for _, captions in members
            ),
        )
        for name, members in images.items()
    }
    return splits, vocabulary
