"""What one process decides and measures alone while it trains; `experiment/together.py` has it for several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


class Alone:
    """One process: it has every sample, and decides everything."""

    def weighted(self, loss: Tensor, batch: Any) -> Tensor:
        """The loss of this process's samples by their share of the batch, so that the mean gradient is the batch's."""
        return loss

    def samples(self, batch: Any) -> int:
        """The samples of the whole batch."""
        return len(batch)

    def mean(self, total: Tensor) -> float:
        """The mean over the processes."""
        return float(total)

    def stops(self, should_stop: Callable[[], bool], *, update: int) -> bool:
        """Whether all processes stop after this update."""
        return should_stop()

    def decided(self, flag: bool) -> bool:
        """What the first process has decided."""
        return flag

    def evaluated(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The metrics that the first process has measured."""
        return evaluate()

    def saved(self, save: Callable[[], None]) -> None:
        """Writes a checkpoint: the first process, or each one its rows of sharded weights."""
        save()

    def written(self, write: Callable[[], None]) -> None:
        """Writes files, in the first process; all of them go on when they are there."""
        write()
