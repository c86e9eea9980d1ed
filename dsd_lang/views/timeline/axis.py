"""The axis of a timeline: round numbers over the columns."""

from __future__ import annotations

import math

_ROUND = (1, 2, 2.5, 5, 10)


def axis(total: float, width: int) -> str:
    """Round numbers at their columns, as many as fit with space between them."""
    if total <= 0:
        return "0"
    step = _step(total, width)
    row = ""
    for tick in range(int(total / step + 1e-9) + 1):
        value = tick * step
        text = f"{value:.10g}"
        column = min(round(value / total * width), width - len(text))
        if not row or column > len(row) + 1:
            row = row.ljust(column) + text
    return row


def _step(total: float, width: int) -> float:
    """The smallest round interval whose numbers have two blanks between them."""
    room = max(1, width // (len(f"{total:.0f}") + 5))
    least = total / room
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in _ROUND if factor * power >= least * (1 - 1e-9))
    return step if step >= 1 or total < 1 else (0.5 if step <= 0.5 else 1.0)
