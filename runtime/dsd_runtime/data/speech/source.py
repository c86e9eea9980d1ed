"""The data source behind every speech data set: padded batches of three splits.

Shape legend: N batch, T frames, F frequency bins, S target symbols.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any, TypedDict, TypeVar

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import SPLITS
from dsd_runtime.data.batch import SpeechBatch
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.parts import Part, Share, read_parts
from dsd_runtime.data.prefetch import ordered_map
from dsd_runtime.data.preprocessing import SoundPreprocessing
from dsd_runtime.data.speech.alphabet import Alphabet
from dsd_runtime.data.speech.augment import SpecAugment
from dsd_runtime.data.speech.features import FeatureSettings, Normalisation, Normalising
from dsd_runtime.data.speech.order import POOL_BATCHES, Indices, sorted_batches, training_batches
from dsd_runtime.data.speech.store import FeatureStore, Utterance, features_bytes
from dsd_runtime.data.splits import num_batches, sizes_of, split_named
from dsd_runtime.data.traits import DataTraits

_FORMAT = 1
_MEGABYTE = 1 << 20

Loader = TypeVar("Loader", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """The options of a speech data set.

    ``sorta_grad`` sorts epoch 0 by duration; ``augment`` masks training features; ``max_broken`` is the share of files
    that may be broken; features are kept in memory if all of them fit in ``memory_megabytes``.
    """

    features: FeatureSettings = field(default_factory=FeatureSettings)
    sorta_grad: bool = False
    augment: SpecAugment | None = None
    max_broken: float = 0.01
    memory_megabytes: int = 1024


class SpeechOptions(TypedDict, total=False):
    """The options that every speech loader takes, as the user writes them; :func:`speech_settings` has the defaults."""

    sorta_grad: bool
    spec_augment: bool
    normalise: Normalising
    max_broken: float
    memory_megabytes: int


def speech_settings(
    *,
    sorta_grad: bool = False,
    spec_augment: bool = False,
    normalise: Normalising = "train",
    max_broken: float = 0.01,
    memory_megabytes: int = 1024,
) -> SpeechSettings:
    """Checks the options of a speech loader."""
    if normalise not in ("train", "utterance"):
        raise DsdError(f"`normalise` cannot be `{normalise}`", help="give `train` or `utterance`")
    if not 0 <= max_broken <= 1:
        raise DsdError(f"`max_broken` cannot be `{max_broken}`", help="give a share from 0 to 1, such as 0.01")
    return SpeechSettings(
        features=FeatureSettings(normalise=normalise),
        sorta_grad=sorta_grad,
        augment=SpecAugment() if spec_augment else None,
        max_broken=max_broken,
        memory_megabytes=memory_megabytes,
    )


def takes_speech_options(loader: Loader) -> Loader:
    """Marks a loader with `**options: Unpack[SpeechOptions]` in its signature, so that its options can be listed."""
    own = [each for each in inspect.signature(loader).parameters.values() if each.kind is not each.VAR_KEYWORD]
    named = inspect.signature(speech_settings).parameters.values()
    loader.__signature__ = inspect.Signature([*own, *named])  # type: ignore[attr-defined]
    return loader


def broken_audio(num_files: int, largest_share: float) -> BrokenFiles:
    """The broken files of a set, a share of which may be left out."""
    advice = "repair or remove them, or allow a larger share with `max_broken`"
    return BrokenFiles("audio files", num_files=num_files, allowed=int(num_files * largest_share), help=advice)


class SpeechSource:
    """A `DataSource` of utterances; batches are a pure function of (key, epoch), for any number of workers."""

    def __init__(
        self,
        name: str,
        splits: Mapping[str, Sequence[Utterance]],
        *,
        alphabet: Alphabet,
        settings: SpeechSettings,
        content: str,
        broken: BrokenFiles | None = None,
    ) -> None:
        """``content`` is a hex digest of the files; ``broken`` has the files already found to be broken."""
        empty = [split for split in SPLITS if not splits.get(split)]
        if empty:
            raise DsdError(f"`{name}` has no utterances in its split `{empty[0]}`")
        everything = [utterance for split in SPLITS for utterance in splits[split]]
        self.name = name
        self.broken = broken or broken_audio(len(everything), settings.max_broken)
        self._splits = {split: tuple(splits[split]) for split in SPLITS}
        self._alphabet = alphabet
        self._settings = settings
        self._fingerprint = _fingerprint(settings, alphabet, content)
        self._store = FeatureStore(
            self._splits["train"],
            settings=settings.features,
            broken=self.broken,
            is_kept=features_bytes(everything, settings.features) <= settings.memory_megabytes * _MEGABYTE,
        )

    @property
    def task(self) -> str:
        return "ctc"

    @property
    def fingerprint(self) -> str:
        """Hex digest of the files, the alphabet, and the settings for features, order and augmentation."""
        return self._fingerprint

    @property
    def traits(self) -> DataTraits:
        features = self._settings.features
        return DataTraits(
            task=self.task,
            alphabet=self._alphabet.symbols,
            num_features=features.num_bins,
            sample_rate=features.sample_rate,
        )

    @property
    def preprocessing(self) -> SoundPreprocessing:
        """The preprocessing of these recordings, for a run's manifest."""
        settings, found = asdict(self._settings.features), self._store.normalisation()
        if found is None:
            return SoundPreprocessing(settings)
        return SoundPreprocessing(settings, tuple(found.mean.tolist()), tuple(found.deviation.tolist()))

    def with_preprocessing(self, preprocessing: SoundPreprocessing) -> SpeechSource:
        """The same recordings with the normalisation that a network was trained with."""
        if preprocessing.settings != asdict(self._settings.features):
            raise DsdError(
                f"the features of `{self.name}` are not those the network was trained on",
                help="give the data with the same `normalise=`",
            )
        other = copy(self)
        if preprocessing.mean is not None and preprocessing.deviation is not None:
            found = Normalisation(torch.tensor(preprocessing.mean), torch.tensor(preprocessing.deviation))
            other._store = self._store.normalised_by(found)
        return other

    @property
    def sizes(self) -> Mapping[str, int]:
        return sizes_of(self._splits)

    def texts(self, split: str) -> tuple[str, ...]:
        """The transcripts of a split, in the order of its files."""
        return tuple(utterance.text for utterance in split_named(self._splits, split))

    def training_utterance(self, index: int) -> Utterance:
        """An utterance of the training split."""
        return self._splits["train"][index]

    def features(self, utterance: Utterance) -> Tensor | None:
        """Normalised features [T, F]; None for a broken file, which has been reported."""
        return self._store.features(utterance)

    def updates_per_epoch(self, batch_size: int) -> int:
        return num_batches(len(self._splits["train"]), batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0, device: str = "cpu"
    ) -> Iterator[SpeechBatch]:
        """One epoch in the order of (key, epoch); the first ``skip`` batches are skipped without being loaded."""
        train, order = self._splits["train"], self._order(batch_size, key=key, epoch=epoch)
        augment = self._augment(key=key, epoch=epoch)
        for batch in self._batches(train, order[skip:], workers=workers, augment=augment):
            yield batch.to(device)

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[SpeechBatch]]:
        """What one of several processes trains on: it decodes its own utterances only, as long as the whole batch."""
        self._store.prepare()
        order = self._order(batch_size, key=key, epoch=epoch)[skip:]
        flat = [index for batch in order for index in batch]
        samples = _Utterances(self, flat, self._augment(key=key, epoch=epoch))
        ends = list(accumulate(map(len, order)))
        batches = [range(end - len(batch), end) for batch, end in zip(order, ends, strict=True)]
        for part in read_parts(samples, batches, share, workers=workers, ahead=2 * batch_size):
            if part is None:
                raise self._all_broken()
            yield part

    def _order(self, batch_size: int, *, key: int, epoch: int) -> list[Indices]:
        seconds = [utterance.seconds for utterance in self._splits["train"]]
        return training_batches(seconds, batch_size, key=key, epoch=epoch, sorta_grad=self._settings.sorta_grad)

    def _augment(self, *, key: int, epoch: int) -> Callable[..., Tensor] | None:
        how = self._settings.augment
        return None if how is None else partial(how.apply, key=key, epoch=epoch)

    def _all_broken(self) -> DsdError:
        return DsdError(f"a whole batch of `{self.name}` is broken, from `{self.broken.paths[0]}` on")

    def evaluation_batches(
        self, split: str, *, batch_size: int, workers: int = 0, device: str = "cpu"
    ) -> Iterator[SpeechBatch]:
        """Every utterance of the split once, from short to long, without augmentation."""
        utterances = split_named(self._splits, split)
        order = sorted_batches([utterance.seconds for utterance in utterances], batch_size)
        for batch in self._batches(utterances, order, workers=workers, augment=None):
            yield batch.to(device)

    def _batches(
        self,
        utterances: Sequence[Utterance],
        order: Sequence[Indices],
        *,
        workers: int,
        augment: Callable[..., Tensor] | None,
    ) -> Iterator[SpeechBatch]:
        self._store.prepare()

        def load(indices: Indices) -> list[tuple[int, Tensor]]:
            loaded = ((index, self._store.features(utterances[index])) for index in indices)
            return [(index, features) for index, features in loaded if features is not None]

        for loaded in ordered_map(load, order, workers=workers):
            if not loaded:
                raise self._all_broken()
            # Masks are drawn here, in the caller's thread: torchaudio draws from the process-wide generator.
            features = [frames if augment is None else augment(frames, utterance=index) for index, frames in loaded]
            yield self.collate(features, [utterances[index] for index, _ in loaded])

    def collate(self, features: Sequence[Tensor], utterances: Sequence[Utterance], *, longest: int = 0) -> SpeechBatch:
        """Utterances as a batch, as long as the longest of them, or of ``longest`` frames."""
        encoded = [self._alphabet.encode(utterance.text) for utterance in utterances]
        return SpeechBatch(
            features=_as_long_as(torch.nn.utils.rnn.pad_sequence(list(features), batch_first=True), longest),
            lengths=torch.tensor([frames.shape[0] for frames in features]),
            targets=torch.tensor([symbol for symbols in encoded for symbol in symbols], dtype=torch.int64),
            target_lengths=torch.tensor([len(symbols) for symbols in encoded]),
            texts=tuple(utterance.text for utterance in utterances),
            speakers=tuple(utterance.speaker for utterance in utterances),
        )


def _as_long_as(features: Tensor, longest: int) -> Tensor:
    """Features [N, T, F] with zeros up to that many frames."""
    missing = longest - features.shape[1]
    return features if missing <= 0 else torch.nn.functional.pad(features, (0, 0, 0, missing))


@dataclass(frozen=True, slots=True)
class _Utterances:
    """Training samples by their position in the rest of a pass."""

    source: SpeechSource
    order: Sequence[int]
    augment: Callable[..., Tensor] | None

    def utterance(self, position: int) -> Utterance:
        """The utterance at a position."""
        return self.source.training_utterance(self.order[position])

    def read(self, position: int) -> Tensor | None:
        """Features [T, F], not augmented: this is called in threads, and torchaudio draws from the global generator."""
        return self.source.features(self.utterance(position))

    def size(self, sample: Tensor) -> int:
        """The frames."""
        return int(sample.shape[0])

    def report_broken(self, position: int) -> None:
        """Another process could not read it."""
        path = self.utterance(position).audio
        self.source.broken.report(path, f"`{path}` cannot be read")

    def batch(self, positions: Sequence[int], samples: Sequence[Tensor], sizes: Tensor) -> SpeechBatch:
        """Augmented, and as long as the whole batch."""
        augment = self.augment
        pairs = zip(positions, samples, strict=True)
        shown = [one if augment is None else augment(one, utterance=self.order[position]) for position, one in pairs]
        utterances = [self.utterance(position) for position in positions]
        return self.source.collate(shown, utterances, longest=int(sizes.max()))


def _fingerprint(settings: SpeechSettings, alphabet: Alphabet, content: str) -> str:
    numbers = {
        "format": _FORMAT,
        "features": asdict(settings.features),
        "sorta_grad": settings.sorta_grad,
        "pool_batches": POOL_BATCHES,
        "augment": None if settings.augment is None else asdict(settings.augment),
        "alphabet": alphabet.symbols,
        "content": content,
    }
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
