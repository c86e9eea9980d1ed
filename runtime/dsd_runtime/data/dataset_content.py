"""Fingerprints a user's Dataset by its contents and finds its classes, reading no more than needed.

The first of these that exists is used: the Dataset's own ``fingerprint``; the tensors of a `TensorDataset`; the files
and arrays of torchvision's data sets
(``samples``, ``data`` and ``targets``); the samples, all of them up to :data:`READ_WHOLE`. A few samples are always
read, so that a change of transforms is noticed.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.dataset_samples import read_sample, untouched_generators
from dsd_runtime.storage.content import content_digests

READ_WHOLE = 10_000
"""Samples up to which a Dataset that tells nothing of itself is read whole; a larger one at as many positions."""
_PROBES = 32
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def content_of(splits: Mapping[str, Dataset[Any]], name: str) -> str:
    """A digest of the Datasets by split."""
    digest = hashlib.sha256()
    for split, dataset in splits.items():
        digest.update(f"{split}\0{len(dataset)}\0".encode())  # type: ignore[arg-type]
        if not _add_told(digest, dataset):
            _add_samples(digest, dataset, split, name, READ_WHOLE)
        elif type(dataset) is not TensorDataset:
            _add_samples(digest, dataset, split, name, _PROBES)
    return digest.hexdigest()


def labels_of(dataset: Dataset[Any], split: str, name: str) -> list[int]:
    """The class index of every sample; raises DsdError if finding them would mean reading a large Dataset."""
    told = _targets(dataset)
    if told is not None:
        return told
    if len(dataset) > READ_WHOLE:  # type: ignore[arg-type]
        raise DsdError(
            f"the {split} set of `{name}` does not say the class of each sample, nor how many classes it has",
            help="give the Dataset `targets`, the class number of each sample; `classes`, or a dict with `classes`, is "
            "enough unless `set noise=` changes them",
        )
    return [label for _, label in _samples(dataset, split, name, READ_WHOLE)]


def _targets(dataset: Any) -> list[int] | None:
    """The class indices of all samples, if the Dataset provides them."""
    if type(dataset) is TensorDataset:
        return _numbers(dataset.tensors[1]) if len(dataset.tensors) == 2 else None
    if isinstance(dataset, Subset):
        whole = _targets(dataset.dataset)
        return None if whole is None else [whole[index] for index in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [_targets(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else [one for part in parts for one in part or ()]
    told = getattr(dataset, "targets", None)
    return None if told is None or getattr(dataset, "target_transform", None) is not None else _numbers(told)


def _numbers(told: Any) -> list[int] | None:
    found = np.asarray(told)
    return found.tolist() if found.ndim == 1 and found.dtype.kind in "iu" and found.size else None


def _add_told(digest: Any, dataset: Any) -> bool:
    """Adds what a Dataset declares about its content; False if it declares nothing."""
    own = getattr(dataset, "fingerprint", None)
    if isinstance(own, str):
        digest.update(f"own\0{own}\0".encode())
        return True
    if isinstance(dataset, TensorDataset):
        _add_arrays(digest, dataset.tensors)
        return True
    if isinstance(dataset, Subset):
        digest.update(repr(list(dataset.indices)).encode())
        return _add_told(digest, dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        told = [_add_told(digest, part) for part in dataset.datasets]
        return all(told)
    return _add_torchvision(digest, dataset)


def _add_torchvision(digest: Any, dataset: Any) -> bool:
    """Adds the files of an image folder, or the arrays of a set in memory, and the repr of the transforms."""
    samples, data = getattr(dataset, "samples", None), getattr(dataset, "data", None)
    if isinstance(samples, list) and samples and all(isinstance(pair, tuple) and len(pair) == 2 for pair in samples):
        digest.update("".join(content_digests([path for path, _ in samples])).encode())
        digest.update(repr([label for _, label in samples]).encode())
    elif isinstance(data, Tensor | np.ndarray) and _targets(dataset) is not None:
        _add_arrays(digest, (data, dataset.targets))
    else:
        return False
    for how in ("transform", "target_transform", "transforms"):
        digest.update(_ADDRESS.sub("", repr(getattr(dataset, how, None))).encode())
    return True


def _add_arrays(digest: Any, arrays: Iterable[Any]) -> None:
    for array in arrays:
        held = array.detach().cpu().contiguous() if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
        digest.update(f"{held.dtype}{tuple(held.shape)}".encode())
        digest.update(held.reshape(-1).view(torch.uint8).numpy().data)


def _add_samples(digest: Any, dataset: Dataset[Any], split: str, name: str, most: int) -> None:
    size = len(dataset)  # type: ignore[arg-type]
    if size > most == READ_WHOLE:
        warnings.warn(
            f"`{name}` is compared by {most:,} of the {size:,} samples of its {split} set; give the Dataset a "
            "`fingerprint` (a string that changes with the data) to cover all of them",
            stacklevel=2,
        )
    for value, label in _samples(dataset, split, name, most):
        digest.update(f"{value.dtype}{tuple(value.shape)}{label}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _samples(dataset: Dataset[Any], split: str, name: str, most: int) -> Iterator[tuple[Tensor, int]]:
    """Up to ``most`` samples, evenly spread over a Dataset."""
    size = len(dataset)  # type: ignore[arg-type]
    with untouched_generators():
        for position in range(min(most, size)):
            index = position * size // min(most, size)
            yield read_sample(dataset, index, f"sample {index} of the {split} set of `{name}`", seed=index)
