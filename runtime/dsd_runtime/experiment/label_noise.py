"""The label noise of a run: applies `set noise=` to its data, and describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact, format_percent
from dsd_lang.plan import Function, Plan
from dsd_runtime.data.label_noise import RelabelledSource, changed_labels, noise_of
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.storage.content import content_digest


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Noise on the training labels [N] of one data source; which labels change depends on the seed and seed index."""

    function: Function
    source: RelabelledSource
    labels: Tensor
    class_names: tuple[str, ...]
    num_classes: int
    seed: int

    def training_data(self, seed_index: int) -> DataSource:
        """The data with the changed training labels."""
        return self.source.with_train_labels(self._changed(seed_index))

    @property
    def text(self) -> str:
        """`symmetric(20%)`, `file("noisy.csv")`."""
        value = str(self.function.arguments["0"])
        return f'file("{value}")' if self.function.name == "file" else (
            f"{self.function.name}({format_percent(exact(value))})"
        )  # fmt: skip

    @property
    def setting(self) -> str:
        """The text with the digest of the file's content, which a run's results depend on."""
        is_file = self.function.name == "file"
        return f"{self.text}#{content_digest(str(self.function.arguments['0']))}" if is_file else self.text

    def facts(self) -> dict[str, Any]:
        """The manifest's entry: the noise, and how many training labels differ (for the first seed index)."""
        num_changed = int((self._changed(0) != self.labels).sum())
        return {"noise": self.text, "changed_labels": num_changed, "train_labels": len(self.labels)}

    def _changed(self, seed_index: int) -> Tensor:
        key = stream_key(self.seed, seed_index, "noise")
        return changed_labels(self.function, self.labels, self.num_classes, self.class_names, key=key)


def noise_for(plan: Plan, data: DataSource, *, seed: int) -> LabelNoise | None:
    """The noise of a plan on this data; None if there is none.

    Raises :class:`DsdError` for data without class labels, and for a file that cannot be used.
    """
    function, traits = noise_of(plan), data.traits
    if function is None:
        return None
    if traits.task != "classification" or traits.num_classes is None:
        raise DsdError(
            f"`set noise=` changes the labels of classes, and `{data.name}` is data for the task {traits.task}",
            help="leave out `noise=`, or give `--data` with a class for each sample",
        )
    if not isinstance(data, RelabelledSource):
        raise DsdError(
            f"`set noise=` cannot change the labels of `{data.name}`, a `{type(data).__name__}`",
            help="give it `train_labels` and `with_train_labels(labels)`, or return Datasets from the factory",
        )
    names = traits.class_names or tuple(str(number) for number in range(traits.num_classes))
    noise = LabelNoise(function, data, data.train_labels, names, traits.num_classes, seed)
    noise.training_data(0)  # says now what is wrong
    return noise
