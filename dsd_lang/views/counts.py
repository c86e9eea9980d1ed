"""The table of a plan's exact counts, one row per sparse phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.units import format_percent
from dsd_lang.plan import Plan
from dsd_lang.plan.layer_counts import Alive, PhaseCounts
from dsd_lang.views.table import aligned, shown_numbers

_UNKNOWN = "?"


def counts_table(
    plan: Plan,
    counts: Mapping[str, PhaseCounts],
    layers: Sequence[LayerInfo],
    *,
    model: str | None = None,
    is_whole: bool = False,
) -> str:
    """The table below a line with the model's size; `a -> b` is the start and end of a ramp."""
    num_parameters = sum(weight.size for layer in layers for weight in layer.weights if weight.tied_to is None)
    numbers = [number for number, phase in enumerate(plan.phases) if phase.mode == "sparse"]
    head = f"weights of {model or 'the model'} ({num_parameters:,} parameters)"
    if not numbers:
        return f"{head}: no phase prunes\n"
    shown = shown_numbers(len(numbers), is_whole=is_whole)
    rows = [_row(numbers[index], counts[plan.phases[numbers[index]].id]) for index in shown]
    text = f"{head}, in each sparse phase:\n" + aligned(("#", "layers", "weights", "pruned", "alive", "density"), rows)
    if any(_UNKNOWN in cell for row in rows for cell in row):
        text += f"{_UNKNOWN} depends on the values of the weights, known only in the run\n"
    left = len(numbers) - len(shown)
    return text + (f"({left} sparse phases are left out: `--all` shows every one)\n" if left else "")


def _row(number: int, counts: PhaseCounts) -> list[str]:
    first, last = counts.alive_at_start, counts.alive_at_end
    total = counts.num_weights
    pruned = [None if alive is None else total - alive for alive in (first, last)]
    return [
        str(number),
        f"{counts.num_layers:,}",
        f"{total:,}",
        _from_to(*(_number(value) for value in pruned)),
        _from_to(_number(first), _number(last)),
        _from_to(*(_share(alive, total) for alive in (first, last))),
    ]


def _from_to(first: str, last: str) -> str:
    return last if first == last else f"{first} -> {last}"


def _number(value: Alive) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _share(alive: Alive, total: int) -> str:
    if alive is None or not total:
        return _UNKNOWN
    return format_percent(round(Fraction(alive, total), 5))
