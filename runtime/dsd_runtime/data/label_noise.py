"""Changes training labels for `set noise=`: a random share of them, or those named in a file.

Shape legend: N training samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Function, Plan
from dsd_runtime.data.draws import generator
from dsd_runtime.data.label_file import labels_of_file
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.randomness import stream_key

CIFAR10_PAIRS = {
    "truck": "automobile",
    "bird": "airplane",
    "deer": "horse",
    "cat": "dog",
    "dog": "cat",
}
"""The classes that `asymmetric` takes for one another on CIFAR-10 (Patrini et al., 2017)."""
_CIFAR10_CLASSES = frozenset((*CIFAR10_PAIRS, *CIFAR10_PAIRS.values(), "frog", "ship"))


@runtime_checkable
class RelabelledSource(Protocol):
    """A data source whose training labels can be read and replaced."""

    @property
    def train_labels(self) -> Tensor:
        """The class indices [N] int64 of the training samples."""
        ...

    def with_train_labels(self, labels: Tensor) -> DataSource:
        """The same data with these training labels [N]; validation and test data are unchanged."""
        ...


def noise_of(plan: Plan) -> Function | None:
    """The value of a plan's `set noise=`; None if there is none."""
    value = plan.settings.get("noise")
    if value is None or value == "none":
        return None
    return Function.model_validate(value if isinstance(value, dict) else {"name": value})


def noisy_labels(
    plan: Plan, labels: Tensor, *, num_classes: int, class_names: Sequence[str] = (), seed: int = 0, seed_index: int = 0
) -> Tensor:
    """The training labels [N] with a plan's `set noise=`, as in `dsd-run`, for your own loop.

    ``class_names`` are needed for the pairs of `asymmetric` on CIFAR-10 and for class names in a file. ``seed_index``
    is that of the phases of a `fork seeds=`. Raises :class:`DsdError` for a file that cannot be used.

    >>> import dsd_lang
    >>> plan = dsd_lang.compile("set noise=pairflip(50%); dense 1ep lr=0.1")
    >>> sorted(noisy_labels(plan, torch.zeros(4, dtype=torch.int64), num_classes=3).tolist())
    [0, 0, 1, 1]
    """
    noise = noise_of(plan)
    if noise is None:
        return labels.clone()
    names = tuple(class_names) or tuple(str(number) for number in range(num_classes))
    return changed_labels(noise, labels, num_classes, names, key=stream_key(seed, seed_index, "noise"))


def changed_labels(
    noise: Function, labels: Tensor, num_classes: int, class_names: Sequence[str], *, key: int
) -> Tensor:
    """The labels [N] with some changed; with the same key a larger share changes all that a smaller one does, and more.

    `symmetric`: any other class with equal probability; `pairflip`: the next class; `asymmetric`: a similar class.
    Exactly round(N x share) labels change, where N is the number of samples whose class has a similar one.
    """
    if noise.name == "file":
        return labels_of_file(str(noise.arguments["0"]), labels, class_names, num_classes)
    if num_classes < 2:
        raise DsdError("`set noise=` needs at least two classes", help="leave it out")
    others = _other_classes(noise.name, labels, num_classes, class_names, key)
    candidates = (others != labels).nonzero()[:, 0]
    count = round(exact(str(noise.arguments["0"])) * len(candidates))
    chosen = candidates[torch.randperm(len(candidates), generator=generator(key, "samples"))[:count]]
    changed = labels.clone()
    changed[chosen] = others[chosen]
    return changed


def _other_classes(kind: str, labels: Tensor, num_classes: int, class_names: Sequence[str], key: int) -> Tensor:
    """The class [N] that each sample would get; its own if it never changes."""
    if kind == "symmetric":
        drawn = torch.randint(num_classes - 1, labels.shape, generator=generator(key, "classes"))
        return drawn + (drawn >= labels)
    following = (torch.arange(num_classes) + 1) % num_classes
    names = [name.lower() for name in class_names]
    if kind == "asymmetric" and frozenset(names) == _CIFAR10_CLASSES:
        following = torch.tensor([names.index(CIFAR10_PAIRS.get(name, name)) for name in names])
    return following[labels]
