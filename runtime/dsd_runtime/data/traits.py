"""The properties of a data set that a model depends on (shapes, number of classes, task), without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataTraits:
    """Sizes and symbols that determine a model's first and last layers; None if a field does not apply.

    ``alphabet`` lists the CTC symbols after the blank (index 0), ``vocabulary`` the caption words with START/END at
    index 0, and ``word_counts`` their training frequencies (index 0 counts sentences).
    """

    task: str
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    alphabet: tuple[str, ...] = ()
    num_features: int | None = None
    sample_rate: int | None = None
    vocabulary: tuple[str, ...] = ()
    word_counts: tuple[int, ...] = ()
    feature_dim: int | None = None

    @property
    def num_symbols(self) -> int:
        """The number of CTC outputs: the alphabet and the blank."""
        return len(self.alphabet) + 1


def image_traits(class_names: tuple[str, ...], image_shape: tuple[int, int, int]) -> DataTraits:
    """The traits of images [C, H, W] with one class each."""
    return DataTraits("classification", num_classes=len(class_names), class_names=class_names, image_shape=image_shape)
