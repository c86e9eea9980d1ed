"""Where a run stands in a user's data loader: batches in, the same batches out, counted, and found again on resume.

A loader draws its order from torch's global generator or from one of its own; both are kept as they were when the pass
over the data began, so that a resumed run gets the same order and passes over what it has trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError

T = TypeVar("T")


class LoaderPosition:
    """The current pass over the data and the batches taken from it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.batch = 0
        self._to_skip = 0
        self._generators: list[torch.Generator] = []
        self._at_pass_start: list[Tensor] = []
        self._to_restore: list[Tensor] = []

    def iterate(self, loader: Iterable[T]) -> Iterator[T]:
        """The batches still to be trained on in this pass."""
        self._generators = own_generators(loader)
        for generator, state in zip(self._generators, self._to_restore, strict=False):
            generator.set_state(state)
        self._to_restore = []
        if self._to_skip:
            return self._resumed(loader)
        self.batch = 0
        self._at_pass_start = [torch.get_rng_state(), *(generator.get_state() for generator in self._generators)]
        return iter(loader)

    def end_pass(self) -> None:
        """The loader is through, or was left: the next pass begins at its first batch."""
        self.epoch, self.batch = self.epoch + 1, 0

    def _resumed(self, loader: Iterable[T]) -> Iterator[T]:
        skip, self._to_skip = self._to_skip, 0
        now = torch.get_rng_state()
        torch.set_rng_state(self._at_pass_start[0])
        for generator, state in zip(self._generators, self._at_pass_start[1:], strict=False):
            generator.set_state(state)
        iterator = iter(loader)
        for _ in range(skip):
            try:
                next(iterator)
            except StopIteration:
                raise DsdError(
                    f"the loader ended before batch {skip}, where the saved run stands in its epoch",
                    help="resume with the same data and batch size",
                ) from None
        torch.set_rng_state(now)
        return iterator

    def state_dict(self) -> dict[str, Any]:
        generators = [generator.get_state() for generator in self._generators]
        at_start = list(self._at_pass_start)
        return {"epoch": self.epoch, "batch": self.batch, "at_pass_start": at_start, "generators": generators}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])
        self._at_pass_start, self._to_restore = list(state["at_pass_start"]), list(state["generators"])
        self._to_skip = self.batch if self._at_pass_start else 0


def own_generators(loader: object) -> list[torch.Generator]:
    """The generators of a `DataLoader` and of its samplers, each once; none for any other iterable."""
    found: list[torch.Generator] = []
    for path in (("generator",), ("sampler", "generator"), ("batch_sampler", "sampler", "generator")):
        part: object = loader
        for name in path:
            part = getattr(part, name, None)
        if isinstance(part, torch.Generator) and not any(part is other for other in found):
            found.append(part)
    return found
