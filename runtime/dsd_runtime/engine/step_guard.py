"""Detects a call of `optimizer.step()` instead of `session.step()`: an update without masks, rate or clocks."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from dsd_lang.base.errors import DsdError

_guards: weakref.WeakKeyDictionary[Optimizer, tuple[StepGuard, tuple[RemovableHandle, ...]]]
_guards = weakref.WeakKeyDictionary()


class HasEnd(Protocol):
    """The part of a :class:`Progression` that the guard needs."""

    @property
    def is_over(self) -> bool: ...


class StepGuard:
    """Hooks on the optimizers of one session; the session attached last guards an optimizer.

    A foreign step during an update (`begin_step()`, `batches()`) is refused at once. Any other is counted, and reported
    at the loop's next call of the session. Between the halves of an update one step is allowed. A step with a closure
    may open the update inside it, as Lightning's do.
    """

    keeps_zeros = True
    """It changes nothing in a step (see :func:`dsd_runtime.masks.preserves_zero`)."""

    def __init__(self, owner: HasEnd) -> None:
        """``owner`` is the session's progression; only a weak reference is kept."""
        self.has_begun = False
        self.is_stepping = False
        """Whether a step that may open the update in its closure, or an allowed one, is running."""
        self.has_stepped = False
        """Whether an allowed step has ended since `open()`."""
        self._owner = weakref.ref(owner)
        self._is_open = False
        self._has_strays = False

    def watch(self, optimizer: Optimizer) -> None:
        """Starts to guard an optimizer; its hooks stay before those that a trainer adds later."""
        guard, handles = _guards.get(optimizer, (None, ()))
        if guard is self:
            return
        for handle in handles:
            handle.remove()
        after = optimizer.register_step_post_hook(StepEnd(self))
        _guards[optimizer] = (self, (optimizer.register_step_pre_hook(self), after))

    def check(self) -> None:
        """Raises :class:`DsdError` if the optimizer was stepped without the session since the last update."""
        if self._has_strays:
            raise _stray()

    def applied(self) -> None:
        """Notes an update made by the session."""
        self.has_begun = self._has_strays = False

    def open(self) -> None:
        """Allows one step."""
        self._is_open, self.has_stepped = True, False

    def close(self) -> None:
        """Allows none any more."""
        self._is_open = False

    def __call__(self, optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Before a step."""
        if self._is_open:
            if self.has_stepped and not self.is_stepping:
                raise _stray()
            self.is_stepping = True
            return
        self.is_stepping = len(arguments) > 1 or keywords.get("closure") is not None
        if not self.is_stepping:
            self._refuse(optimizer)

    def ended(self, optimizer: Optimizer) -> None:
        """After a step."""
        if self._is_open:
            self.has_stepped = True
        elif self.is_stepping:
            self._refuse(optimizer)
        self.is_stepping = False

    def _refuse(self, optimizer: Optimizer) -> None:
        if (owner := self._owner()) is None or owner.is_over or _changes_nothing(optimizer):
            return
        if self.has_begun:
            raise _stray()
        self._has_strays = True


class StepEnd:
    """The guard's hook after a step."""

    keeps_zeros = True

    def __init__(self, guard: StepGuard) -> None:
        self._guard = guard

    def __call__(self, optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._guard.ended(optimizer)


def _stray() -> DsdError:
    return DsdError(
        "`optimizer.step()` was called on an optimizer that a session drives: masks, learning rate and clocks do not "
        "follow it",
        help="call `session.step()` instead (with a gradient scaler: `session.step(scaler=scaler)`); a trainer's own "
        "step belongs between `session.before_update()` and `session.after_update()`",
    )


def _changes_nothing(optimizer: Optimizer) -> bool:
    """Whether every rate is 0, as when `torch.distributed.checkpoint` creates the state in advance."""
    rates = [group.get("lr") for group in optimizer.param_groups]
    return all(isinstance(rate, int | float | Tensor) and float(rate) == 0 for rate in rates)
