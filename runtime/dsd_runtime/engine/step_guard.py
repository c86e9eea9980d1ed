"""Detects a call of `optimizer.step()` instead of `session.step()`: an update without masks, rate or clocks."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from dsd_lang.base.errors import DsdError

_guards: weakref.WeakKeyDictionary[Optimizer, RemovableHandle] = weakref.WeakKeyDictionary()


class HasEnd(Protocol):
    """The part of a :class:`Progression` that the guard needs."""

    @property
    def is_over(self) -> bool: ...


class StepGuard:
    """A hook on the optimizers of one session; the session attached last guards an optimizer.

    A foreign step during an update (`begin_step()`, `batches()`) is refused at once. Any other is counted, and reported
    at the loop's next call of the session.
    """

    keeps_zeros = True
    """It changes nothing in a step (see :func:`dsd_runtime.masks.preserves_zero`)."""

    def __init__(self, owner: HasEnd) -> None:
        """``owner`` is the session's progression; only a weak reference is kept."""
        self.has_begun = False
        self._owner = weakref.ref(owner)
        self._is_inside = False
        self._has_strays = False

    def watch(self, optimizer: Optimizer) -> None:
        """Starts to guard an optimizer."""
        if (before := _guards.pop(optimizer, None)) is not None:
            before.remove()
        _guards[optimizer] = optimizer.register_step_pre_hook(self)

    def check(self) -> None:
        """Raises :class:`DsdError` if the optimizer was stepped without the session since the last update."""
        if self._has_strays:
            raise _stray()

    def applied(self) -> None:
        """Notes an update made by the session."""
        self.has_begun = self._has_strays = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Allows the session's own step inside the block."""
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False

    def __call__(self, optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._is_inside or (owner := self._owner()) is None or owner.is_over or _changes_nothing(optimizer):
            return
        if self.has_begun:
            raise _stray()
        self._has_strays = True


def _stray() -> DsdError:
    return DsdError(
        "`optimizer.step()` was called on an optimizer that a session drives: masks, learning rate and clocks do not "
        "follow it",
        help="call `session.step()` instead (with a gradient scaler: `session.step(scaler=scaler)`)",
    )


def _changes_nothing(optimizer: Optimizer) -> bool:
    """Whether every rate is 0, as when `torch.distributed.checkpoint` creates the state in advance."""
    rates = [group.get("lr") for group in optimizer.param_groups]
    return all(isinstance(rate, int | float | Tensor) and float(rate) == 0 for rate in rates)
