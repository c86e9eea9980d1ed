"""The table of a plan: one row per phase, derived values marked with `*` and explained."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import exact, format_percent, format_short
from dsd_lang.plan import LearningRate, Phase, Plan, Target
from dsd_lang.plan.setting_text import setting_text
from dsd_lang.views.attributes import other_attributes

MARK = "*"


def table_rows(plan: Plan, *, states: Mapping[str, str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Headers and cells; columns without content (branch, label, state, more) are left out.

    Values from the settings are not repeated for each phase: `dsd-plan` prints them below the table.
    """
    settings = {name: setting_text(value) for name, value in plan.settings.items()}
    rows = [_cells(index, phase, settings, states or {}) for index, phase in enumerate(plan.phases)]
    headers = ["#", "branch", "label", "mode", "pruned", "layers", "length", "start lr", "more", "state", "why"]
    optional = {"branch", "label", "more", "state"}
    shown = [column for column, name in enumerate(headers) if name not in optional or any(row[column] for row in rows)]
    return [headers[column] for column in shown], [[row[column] for column in shown] for row in rows]


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: padded columns, a rule under the headers."""
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *rows]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded) + "\n"


class FittedTable(NamedTuple):
    """A table cut to the width of a terminal, and the columns that were left out."""

    text: str
    left_out: tuple[str, ...]


def fitted(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> FittedTable:
    """The table within ``width`` columns: wraps the last column, then leaves out columns, but never `#`."""
    natural = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    if sum(natural) + 2 * (len(natural) - 1) <= width:
        return FittedTable(aligned(headers, rows), ())
    room = width - sum(natural[:-1]) - 2 * (len(natural) - 1)
    if room >= _LEAST_FOLD:
        return FittedTable(aligned(headers, [line for row in rows for line in _folded(row, room)]), ())
    kept = list(range(len(headers) - 1))
    for name in _LEAST_WANTED:
        if sum(natural[column] for column in kept) + 2 * (len(kept) - 1) <= width:
            break
        kept = [column for column in kept if headers[column] != name]
    left_out = tuple(name for column, name in enumerate(headers) if column not in kept)
    cut = [[row[column] for column in kept] for row in rows]
    return FittedTable(aligned([headers[column] for column in kept], cut), left_out)


_LEAST_FOLD = 24
_LEAST_WANTED = ("more", "layers", "label", "state", "start lr", "branch", "length", "pruned")


def _folded(row: Sequence[str], room: int) -> list[list[str]]:
    """A row whose last cell is wrapped over as many lines as it needs."""
    first, *others = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
    return [[*row[:-1], first], *([""] * (len(row) - 1) + [line] for line in others)]


def shown_numbers(count: int, *, is_whole: bool = False) -> range | tuple[int, ...]:
    """Which of ``count`` rows to show: all of them, or of very many the first hundred and the last ten."""
    if is_whole or count <= _MOST_ROWS:
        return range(count)
    return (*range(_FIRST_ROWS), *range(count - _LAST_ROWS, count))


_MOST_ROWS, _FIRST_ROWS, _LAST_ROWS = 200, 100, 10


def _cells(index: int, phase: Phase, settings: Mapping[str, str], states: Mapping[str, str]) -> list[str]:
    def marked(text: str, name: str) -> str:
        return text + MARK if name in phase.derived else text

    layers = marked(layers_text(phase), "layers") if phase.mode == "sparse" else "-"
    length = f"{'<=' if phase.until is not None or phase.cycles else ''}{phase.duration.length.short}"
    return [
        str(index),
        phase.path,
        phase.label or "",
        phase.mode,
        marked(target_text(phase.target), "target"),
        layers,
        marked(length, "duration"),
        marked(rate_text(phase.lr), "lr"),
        more_text(phase, settings),
        states.get(phase.id, ""),
        phase.why,
    ]


def target_text(target: Target | None) -> str:
    """`50%`, `20% of remaining`, `2:4`, `0% -> 90% cubic`, `held`, `[fc: 50%, conv: 30%]`; `0` for dense."""
    if target is None:
        return "0"
    if target.kind == "nm":
        return f"{target.n}:{target.m}"
    if target.kind == "held":
        return "held"
    if target.kind == "current":
        return "held masks=current"
    if target.kind == "list":
        return "[" + ", ".join(f"{item.selector}: {target_text(item.target)}" for item in target.items) + "]"
    if target.kind == "ramp":
        start, end = (percent(text or "0") for text in (target.start, target.end))
        every = f" every {target.every.length.short}" if target.every is not None else ""
        return f"{start} -> {end} {target.shape}{every}"
    share = percent(target.pruned or "0")
    return f"{share} of remaining" if target.kind == "remaining" else share


def percent(text: str) -> str:
    """A ratio as a percentage, rounded to four places if it has more decimals."""
    value = exact(text)
    written = format_percent(value)
    return written if len(written) <= 10 else format_percent(round(value, 6))


def layers_text(phase: Phase) -> str:
    """`fc, birnn except embed`."""
    excluded = f" except {', '.join(phase.except_)}" if phase.except_ else ""
    return ", ".join(phase.layers) + excluded


def rate_text(lr: LearningRate) -> str:
    """`8e-4`, `0.1 x optimizer`, `0.5 x last of p3`, `1e-4 [embed: 1e-5]`, with the shape if there is one."""
    return start_text(lr) + ("" if lr.decay.kind == "constant" else f" {lr.decay.kind}")


def start_text(lr: LearningRate) -> str:
    """The start of a learning rate, without its shape: that of most layers, then of the groups that have their own."""
    own = [f"{group.selector}: {_start_text(lr, exact(group.scale))}" for group in lr.groups]
    return _start_text(lr, Fraction(1)) + (f" [{', '.join(own)}]" if own else "")


def _start_text(lr: LearningRate, factor: Fraction) -> str:
    if lr.start is not None:
        return format_short(exact(lr.start) * factor)
    scale = exact(lr.scale or "1") * factor
    of = "optimizer" if lr.of == "optimizer" else f"last of {lr.phase}"
    return of if scale == 1 else f"{format_short(scale)} x {of}"


def more_text(phase: Phase, settings: Mapping[str, str]) -> str:
    """All other arguments that differ from both their default and the ``settings`` (as text)."""
    said = [(name, text) for name, text in other_attributes(phase).items() if settings.get(name) != text]
    return " ".join(_WITHOUT_EQUALS.get(name, "{}={}").format(name, _decimal(text)) for name, text in said)


def _decimal(text: str) -> str:
    """A number without a finite decimal, which the plan stores as `1/3`, for display; any other text is unchanged."""
    return format_short(exact(text)) if _RATIO.fullmatch(text) else text


_RATIO = re.compile(r"\d+/\d+")
_WITHOUT_EQUALS = {"until": "{} {}", "round": "({} {})"}
