"""Makes a data source for classification from two or three `torch.utils.data.Dataset`s.

A sample is a pair of an input (an image [C, H, W], a feature vector [D], any tensor, all of one shape) and its class
index. The generators that transforms draw from (torch, numpy, `random`) are seeded for each sample by the pass and the
sample's position, so results are the same for any number of workers and after resuming. Shape legend: N batch, C
channels, H height, W width, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import SPLITS
from dsd_runtime.data.batch import ImageBatch
from dsd_runtime.data.dataset_content import content_of, labels_of
from dsd_runtime.data.dataset_samples import as_input, read_sample, untouched_generators
from dsd_runtime.data.draws import derived_seed, epoch_order
from dsd_runtime.data.own_metrics import OwnMetric, own_metrics
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.data.preprocessing import FeaturePreprocessing
from dsd_runtime.data.splits import fingerprint_of, num_batches, sizes_of, split_named
from dsd_runtime.data.traits import DataTraits

RECIPE_VERSION = 1
"""Part of every fingerprint: raised when the same data sets would give other numbers."""

_EXTRAS = ("classes", "fingerprint", "metrics")
_HELP = "a factory returns (train, val) or (train, val, test) Datasets, a dict of them, or a DataSource; see docs"


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A data source over map-style Datasets; ``content`` is a digest of what they contain."""

    name: str
    splits: Mapping[str, Dataset[Any]]
    class_names: tuple[str, ...]
    num_classes: int
    shape: tuple[int, ...]
    content: str
    own_metrics: tuple[OwnMetric, ...] = ()
    task: str = field(default="classification", init=False)

    @property
    def fingerprint(self) -> str:
        own = tuple((metric.name, metric.better) for metric in self.own_metrics)
        return fingerprint_of(RECIPE_VERSION, self.content, sorted(self.sizes.items()), self.num_classes, *own)

    @property
    def traits(self) -> DataTraits:
        channels_first = (self.shape[0], self.shape[1], self.shape[2]) if len(self.shape) == 3 else None
        width = self.shape[0] if len(self.shape) == 1 else None
        return DataTraits(
            self.task,
            num_classes=self.num_classes,
            class_names=self.class_names,
            image_shape=channels_first,
            num_features=width,
            feature_dim=width,
        )

    @property
    def preprocessing(self) -> FeaturePreprocessing:
        """None: the Datasets' own transforms give the network's input."""
        return FeaturePreprocessing()

    @property
    def sizes(self) -> Mapping[str, int]:
        return sizes_of(self.splits)  # type: ignore[arg-type]

    @property
    def train_labels(self) -> Tensor:
        """Raises :class:`DsdError` if finding them would mean reading a large Dataset."""
        return torch.tensor(labels_of(self.splits["train"], "train", self.name))

    def with_train_labels(self, labels: Tensor) -> DatasetSource:
        """The same samples with other training labels [N]."""
        train = self.splits["train"]
        other = TensorDataset(train.tensors[0], labels) if type(train) is TensorDataset else _Relabelled(train, labels)
        return replace(self, splits={**self.splits, "train": other})

    def updates_per_epoch(self, batch_size: int) -> int:
        """Every sample once; the last batch may be smaller."""
        return num_batches(self.sizes["train"], batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[ImageBatch]:
        order = epoch_order(self.sizes["train"], key=key, epoch=epoch).tolist()
        batches = _Batches(self, "train", order, batch_size, (key, "sample", epoch))
        yield from batches.read(skip, workers)

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[ImageBatch]]:
        """What one of several processes trains on: it reads its own samples only."""
        order = epoch_order(self.sizes["train"], key=key, epoch=epoch).tolist()
        batches = _Batches(self, "train", order, batch_size, (key, "sample", epoch), share.without_exchange())
        for number, batch in enumerate(batches.read(skip, workers), start=skip):
            yield share.rows(len(batches.positions(number))).part(batch)

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[ImageBatch]:
        split_named(self.splits, split)
        order = list(range(self.sizes[split]))
        yield from _Batches(self, split, order, batch_size, ("evaluation", split)).read(0, workers)


@dataclass(frozen=True, slots=True)
class _Relabelled(Dataset[Any]):
    """A Dataset with other labels [N] and the same inputs."""

    dataset: Dataset[Any]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[index]
        is_pair = isinstance(sample, tuple | list) and len(sample) == 2
        return (sample[0], int(self.labels[index])) if is_pair else sample


@dataclass(frozen=True, slots=True)
class _Batches:
    """The batches of one pass by index, each built where it is needed (perhaps in a worker process)."""

    source: DatasetSource
    split: str
    order: Sequence[int]
    batch_size: int
    seed: tuple[int | str, ...]
    share: Share | None = None
    """Of several processes the one that reads; without it, all samples of a batch are read."""

    def positions(self, number: int) -> range:
        """The positions of a batch's samples in the pass."""
        return range(number * self.batch_size, min((number + 1) * self.batch_size, len(self.order)))

    def read(self, skip: int, workers: int) -> Iterator[ImageBatch]:
        """The batches from index ``skip`` on; the caller's random state does not change."""
        numbers = range(skip, num_batches(len(self.order), self.batch_size))
        if workers <= 0:
            for number in numbers:
                with untouched_generators():
                    batch = self._batch(number)
                yield batch
            return
        own = torch.Generator().manual_seed(0)  # the loader draws a seed, which must not come from the global one
        loader = DataLoader(_Numbered(self, numbers), batch_size=None, num_workers=workers, generator=own)
        for batch in loader:
            if isinstance(batch, DsdError):
                raise batch
            yield batch

    def _batch(self, number: int) -> ImageBatch:
        positions = self.positions(number)
        if self.share is not None:
            rows_of_share = self.share.rows(len(positions))
            positions = positions[rows_of_share.start : rows_of_share.end]
        dataset = self.source.splits[self.split]
        if type(dataset) is TensorDataset:
            rows = torch.tensor([self.order[position] for position in positions])
            return ImageBatch(as_input(dataset.tensors[0][rows]), dataset.tensors[1][rows].long())
        pairs = [self._sample(dataset, position) for position in positions]
        return ImageBatch(torch.stack([pair[0] for pair in pairs]), torch.tensor([pair[1] for pair in pairs]))

    def _sample(self, dataset: Dataset[Any], position: int) -> tuple[Tensor, int]:
        index = self.order[position]
        where = f"sample {index} of the {self.split} set of `{self.source.name}`"
        sample = read_sample(dataset, index, where, seed=derived_seed(*self.seed, position))
        if tuple(sample[0].shape) != self.source.shape:
            raise DsdError(
                f"{where} has the shape {list(sample[0].shape)}, the first has {list(self.source.shape)}",
                help="bring all samples to one shape, for instance with a transform",
            )
        if not 0 <= sample[1] < self.source.num_classes:
            raise DsdError(
                f"{where} is of class {sample[1]}, but there are {self.source.num_classes} classes",
                help="number the classes from 0, or return `classes` with the names of all",
            )
        return sample


@dataclass(frozen=True, slots=True)
class _Numbered(Dataset[Any]):
    """The Dataset of batches for a `DataLoader`; returns a user's mistake as a value, to be raised here."""

    batches: _Batches
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> ImageBatch | DsdError:
        try:
            return self.batches._batch(self.numbers[index])
        except DsdError as error:
            error.__cause__ = None
            return error


def is_datasets(found: object) -> bool:
    """Whether a factory returned Datasets, or a value meant as such, and not a data source."""
    if isinstance(found, tuple | list | Dataset | DataLoader):
        return True
    return isinstance(found, Mapping) and "train" in found


def source_of_datasets(found: Any, name: str) -> DatasetSource:
    """The data source of what a factory returned: (train, val), (train, val, test), or a dict with these names.

    A dict may also have ``classes`` (the names of the classes), ``fingerprint`` (a string that changes with the data)
    and ``metrics`` (the user's own, see :mod:`dsd_runtime.data.own_metrics`). Raises :class:`DsdError` naming the split
    if it is empty, unlabelled, or not a map-style Dataset.
    """
    splits, extras = _named_splits(found, name)
    for split, dataset in splits.items():
        _require_map_style(dataset, split, name)
    first = {split: _first_sample(dataset, split, name) for split, dataset in splits.items()}
    shape = tuple(first["train"][0].shape)
    for split, (value, _) in first.items():
        if tuple(value.shape) != shape:
            raise DsdError(
                f"the {split} set of `{name}` has samples of shape {list(value.shape)}, its train set {list(shape)}",
                help="use transforms that give all sets the same shape",
            )
    names = _class_names(extras, splits["train"])
    num_classes = len(names) or 1 + max(max(labels_of(dataset, split, name)) for split, dataset in splits.items())
    content = str(extras["fingerprint"]) if "fingerprint" in extras else content_of(splits, name)
    return DatasetSource(name, splits, names, num_classes, shape, content, own_metrics(extras.get("metrics", {}), name))


def _named_splits(found: Any, name: str) -> tuple[dict[str, Dataset[Any]], dict[str, Any]]:
    if isinstance(found, Mapping):
        unknown = [key for key in found if key not in (*SPLITS, *_EXTRAS)]
        if unknown or "val" not in found:
            problem = f"has the key `{unknown[0]}`" if unknown else "has no `val`"
            raise DsdError(f"the dict of `{name}` {problem}", help=f"its keys are {', '.join((*SPLITS, *_EXTRAS))}")
        return {split: found[split] for split in SPLITS if found.get(split) is not None}, {
            key: found[key] for key in _EXTRAS if found.get(key) is not None
        }
    if isinstance(found, tuple | list) and len(found) in (2, 3):
        return dict(zip(SPLITS, found, strict=False)), {}
    given = f"{len(found)} things" if isinstance(found, tuple | list) else f"one `{type(found).__name__}`"
    raise DsdError(f"`{name}` gave {given}", help=_HELP)


def _require_map_style(dataset: object, split: str, name: str) -> None:
    """Refuses data sets without indexing, by name."""
    kind = type(dataset).__name__
    if isinstance(dataset, DataLoader):
        raise DsdError(
            f"the {split} set of `{name}` is a DataLoader", help="return its Dataset: the run makes the batches"
        )
    if isinstance(dataset, IterableDataset):
        raise DsdError(
            f"the {split} set of `{name}` is the IterableDataset `{kind}`, whose order cannot be resumed or shared",
            help="return a Dataset with `__len__` and `__getitem__`, or a DataSource of your own",
        )
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        lacks = f"the {split} set of `{name}` is a `{kind}`, which is not a Dataset"
        raise DsdError(lacks, help="it needs `__len__` and `__getitem__`")
    if len(dataset) == 0:
        raise DsdError(f"the {split} set of `{name}` is empty", help="leave it out, or give it samples")


def _first_sample(dataset: Dataset[Any], split: str, name: str) -> tuple[Tensor, int]:
    with untouched_generators():
        return read_sample(dataset, 0, f"sample 0 of the {split} set of `{name}`", seed=0)


def _class_names(extras: Mapping[str, Any], train: Dataset[Any]) -> tuple[str, ...]:
    told = extras.get("classes", getattr(train, "classes", None))
    return tuple(str(one) for one in told) if isinstance(told, tuple | list) else ()
