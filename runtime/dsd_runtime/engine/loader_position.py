"""Counts the batches of a data loader (the data clock of a run), and restores the position on resume.

A loader draws its order from the global generators or from its own. The states of both at the start of a pass over the
data are saved, so that a resumed run gets the same order and skips the batches already used. If a loader's order is a
function of the number of the pass (:class:`PassLoader`), it is asked for the rest of the pass instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.engine.warning import warn

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class PassLoader(Protocol[T_co]):
    """A loader that can start at any batch."""

    def read_pass(self, epoch: int, *, skip: int) -> Iterator[T_co]:
        """The batches of that pass over the data from batch ``skip`` on (both from 0)."""
        ...


class LoaderPosition:
    """The current pass over the data (``epoch``) and the batches taken from it (``batch``)."""

    def __init__(self) -> None:
        self.epoch = 0
        self.batch = 0
        self._to_skip = 0
        self._is_resumed = False
        self._generators: list[torch.Generator] = []
        self._at_pass_start: dict[str, Any] = {}
        self._own_at_pass_start: list[Tensor] = []
        self._to_restore: list[Tensor] = []

    def iterate(self, loader: Iterable[T] | PassLoader[T]) -> Iterator[T]:
        """The remaining batches of this pass."""
        if isinstance(loader, PassLoader):
            self._to_skip, self._at_pass_start = 0, {}
            return loader.read_pass(self.epoch, skip=self.batch)
        self._generators = own_generators(loader)
        for generator, state in zip(self._generators, self._to_restore, strict=False):
            generator.set_state(state)
        self._to_restore = []
        self._warn_of_kept_workers(loader)
        if self._to_skip:
            return self._resumed(loader)
        self.batch = 0
        self._at_pass_start = generator_states()
        self._own_at_pass_start = [generator.get_state() for generator in self._generators]
        return iter(loader)

    def end_pass(self) -> None:
        """Ends a pass, because the loader is exhausted or was left; the next one begins at its first batch."""
        self.move_to(self.epoch + 1, 0)

    def move_to(self, epoch: int, batch: int) -> None:
        """Moves to that batch of that pass."""
        self.epoch, self.batch = epoch, batch

    def _resumed(self, loader: Iterable[T]) -> Iterator[T]:
        skip, self._to_skip = self._to_skip, 0
        now = generator_states()
        set_generator_states({**now, **self._at_pass_start, "cuda": []})
        for generator, state in zip(self._generators, self._own_at_pass_start, strict=False):
            generator.set_state(state)
        iterator = iter(loader)
        for _ in range(skip):
            try:
                next(iterator)
            except StopIteration:
                raise DsdError(
                    f"the loader ended before batch {skip}, where the saved run stopped in its epoch",
                    help="resume with the same data and batch size",
                ) from None
        set_generator_states({**now, "cuda": []})
        return iterator

    def _warn_of_kept_workers(self, loader: object) -> None:
        """Warns about persistent workers, whose generators cannot be saved."""
        if self._is_resumed and self.epoch and getattr(loader, "persistent_workers", False):
            warn(
                "the loader's workers are kept from pass to pass (`persistent_workers=True`), so random numbers drawn "
                "in them do not continue from the saved state; with `persistent_workers=False` they do"
            )
        self._is_resumed = False

    def state_dict(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "at_pass_start": dict(self._at_pass_start),
            "own_at_pass_start": list(self._own_at_pass_start),
            "generators": [generator.get_state() for generator in self._generators],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])
        self._at_pass_start = dict(state["at_pass_start"])
        self._own_at_pass_start, self._to_restore = list(state["own_at_pass_start"]), list(state["generators"])
        self._to_skip = self.batch if self._at_pass_start else 0
        self._is_resumed = True


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
