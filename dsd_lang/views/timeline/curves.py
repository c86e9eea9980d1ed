"""Draws rows of characters: bars with the names of phases, and curves in eighths of a character."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dsd_lang.plan import Phase
from dsd_lang.report.colour import paint
from dsd_lang.views.table import target_text
from dsd_lang.views.timeline.columns import LineColumns
from dsd_lang.views.timeline.glyphs import Glyphs

_STEPS = 8
_SPAN_FOR_LOGARITHM = 20


def bar(line: LineColumns, glyphs: Glyphs, *, with_length: bool, is_coloured: bool) -> str:
    """The phases of a line as one row: filled bars with gaps, with as much of their names as fits."""
    cells = [" " if column is None else _fill(column.is_dense, column.pruned, glyphs) for column in line.columns]
    kinds = ["" if column is None else "dense" if column.is_dense else "sparse" for column in line.columns]
    for index, run in enumerate(line.runs, start=1):
        has_gap = index < len(line.runs) and run.end - run.start > 1
        end = run.end - 1 if has_gap else run.end
        if has_gap:
            cells[end], kinds[end] = " ", ""
        text = _name(run.number, run.phase, end - run.start - 3, with_length=with_length)
        for offset, character in enumerate(f" {text} " if text else "", start=run.start + 1):
            cells[offset], kinds[offset] = character, "strong"
    if not line.is_crowded:
        for run in line.narrow:
            index = min(max(0, run.start - 1), len(cells) - 1)
            cells[index], kinds[index] = glyphs.mark, "strong"
    return _painted(cells, kinds) if is_coloured else "".join(cells).rstrip()


def _fill(is_dense: bool, pruned: float | None, glyphs: Glyphs) -> str:
    return glyphs.dense if is_dense else glyphs.fill(pruned)


def _name(number: int, phase: Phase, room: int, *, with_length: bool) -> str:
    """As much of number, label, mode, target and length as fits."""
    target = f" {target_text(phase.target)}" if phase.mode == "sparse" else ""
    length = f" {phase.duration.length.short}" if with_length else ""
    label = f"{number} {phase.label}: " if phase.label else ""
    names = [f"{label}{phase.mode}{target}{length}"] if label else []
    names += [f"{number} {phase.mode}{target}{length}", f"{number} {phase.mode}{target}"]
    names += [f"{number}{target}"] if target else []
    names += [f"{number} {phase.mode}", str(number)]
    return next((name for name in names if len(name) <= room), "")


def _painted(cells: Sequence[str], kinds: Sequence[str]) -> str:
    """Paints neighbours of one kind together."""
    parts: list[str] = []
    start = 0
    for index in range(1, len(cells) + 1):
        if index == len(cells) or kinds[index] != kinds[start]:
            text = "".join(cells[start:index])
            parts.append(paint(text, kinds[start], is_coloured=True) if kinds[start] else text)
            start = index
    return "".join(parts).rstrip()


def curve(levels: Sequence[float | None], glyphs: Glyphs, height: int) -> list[str]:
    """Rows of a curve, highest first; a level is 0 to 1, NaN if unknown, and None where nothing trains."""
    rows = []
    for row in reversed(range(height)):
        cells = [_cell(level, row, height, glyphs) for level in levels]
        rows.append("".join(cells).rstrip())
    return rows[next((index for index, row in enumerate(rows) if row), height - 1) :]


def _cell(level: float | None, row: int, height: int, glyphs: Glyphs) -> str:
    if level is None:
        return " "
    if math.isnan(level):
        return glyphs.unknown if row == 0 else " "
    steps = math.ceil(level * _STEPS * height - 1e-9)
    return glyphs.steps[min(_STEPS, max(0, steps - row * _STEPS))]


class RateScale:
    """Maps a learning rate to a level: linear from 0, or logarithmic if the rates differ widely."""

    def __init__(self, levels: Sequence[float]) -> None:
        positive = [level for level in levels if level > 0]
        self.highest = max(positive, default=0.0)
        self.lowest = min(positive, default=0.0)
        self.is_logarithmic = bool(positive) and self.highest / self.lowest > _SPAN_FOR_LOGARITHM
        self._decades = math.log10(self.highest) - math.log10(self.lowest) if self.is_logarithmic else 1.0

    def level(self, rate: float) -> float:
        if rate <= 0 or not self.highest:
            return 0.0
        if not self.is_logarithmic:
            return min(1.0, rate / self.highest)
        share = (math.log10(rate) - math.log10(self.lowest)) / self._decades
        return min(1.0, max(1 / _STEPS, (1 + (_STEPS - 1) * share) / _STEPS))


def levels_of(line: LineColumns, value: Callable[[float], float], *, of_rate: bool) -> list[float | None]:
    """The levels of a line's pruned shares or rates."""
    found: list[float | None] = []
    for column in line.columns:
        if column is None:
            found.append(None)
            continue
        number = column.rate if of_rate else column.pruned
        found.append(math.nan if number is None else value(number))
    return found
