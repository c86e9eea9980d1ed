"""Chooses the number of CPU threads for a model and batch, by a deterministic rule.

Several threads add the parts of a matrix product in another order, so their number changes results: it is part of the
node keys, a run folder keeps the number it began with, and it is not chosen by a noisy measurement. Instead the work is
counted. For every shared product all threads must synchronise, and on a busy machine the slowest one is late: with two
busy cores, a network of tiny products took 64 times as long on two threads as on one. So several threads must save more
time than their synchronisation costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dsd_runtime.experiment.products import OperationMode, multiplications
from dsd_runtime.experiment.setup import Prepared

_SECONDS_PER_PRODUCT = 1e-10
"""One multiplication and addition on one core."""
_SECONDS_PER_MEETING = 5e-4
"""What waiting for each other costs the threads once, on a machine that is busy."""
_SHARED_ELEMENTS = 32_768
"""torch shares out the work on so many elements and more."""


@dataclass(frozen=True, slots=True)
class Threads:
    """How many of the available threads a run uses (None if the device is not a CPU), and why."""

    count: int | None
    available: int
    why: str

    def __str__(self) -> str:
        if self.count is None:
            return ""
        shown = f"{self.count} of {self.available}" if self.count < self.available else str(self.count)
        return (
            f"{shown} thread{'s' if max(self.count, self.available) > 1 else ''}{f', {self.why}' if self.why else ''}"
        )


@dataclass(slots=True)
class Work:
    """Multiplications in matrix products, and the number of operations that several threads would share."""

    products: int = 0
    shared: int = 0

    def threads(self, available: int) -> int:
        """All threads if they save more than their synchronisation costs; else one."""
        saved = self.products * _SECONDS_PER_PRODUCT * (1 - 1 / available)
        return available if saved > self.shared * _SECONDS_PER_MEETING else 1


def choose_threads(prepared: Prepared, compute: Callable[[], Any], *, earlier: int | None) -> Threads:
    """The value of `--threads`, else that of the folder, else by the work of ``compute``, a forward pass."""
    available = torch.get_num_threads()
    if prepared.precision.device.type != "cpu":
        return Threads(None, available, "")
    if prepared.request.threads is not None:
        return Threads(prepared.request.threads, available, "")
    if earlier is not None:
        return Threads(earlier, available, "as before in this folder" if earlier not in (1, available) else "")
    if available == 1:
        return Threads(1, 1, "")
    count = work_of(compute).threads(available)
    return Threads(count, available, "" if count > 1 else "an update is too short to share")


@contextmanager
def computing_on(threads: Threads) -> Iterator[None]:
    """Sets the number of torch's threads inside the block."""
    if threads.count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads.count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def work_of(compute: Callable[[], Any]) -> Work:
    """The work of a forward pass."""
    counter = _Counter()
    with counter, torch.no_grad():
        compute()
    return counter.work


class _Counter(OperationMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = Work()

    def saw(self, operation: Any, arguments: Sequence[Any], result: Any) -> None:
        count = multiplications(operation, arguments, result)
        if count is not None:
            self.work.products += count
            self.work.shared += 1
        elif isinstance(result, Tensor) and result.numel() >= _SHARED_ELEMENTS:
            self.work.shared += 1
