"""Draws a plan's timeline for the terminal: phases as bars, with the pruned share and the learning rate below.

Every branch has its own line, starting at its fork. Everything is drawn from the plan's resolved numbers. What cannot
be drawn to scale, or is known only at run time, is stated in a sentence below.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from dsd_lang.plan import Plan
from dsd_lang.plan.cost import Densities
from dsd_lang.report.colour import paint
from dsd_lang.views.timeline.axis import axis
from dsd_lang.views.timeline.clocks import Clocks
from dsd_lang.views.timeline.columns import Layout, LineColumns
from dsd_lang.views.timeline.curves import RateScale, bar, curve, levels_of
from dsd_lang.views.timeline.glyphs import ASCII, BLOCKS, Glyphs, can_draw_blocks
from dsd_lang.views.timeline.lines import Lane, lanes_of
from dsd_lang.views.timeline.notes import UNBROKEN, notes, rate_range
from dsd_lang.views.timeline.rates import Rates
from dsd_lang.views.timeline.shares import PrunedShares

__all__ = ["can_draw_blocks", "timeline_text"]

_LEAST_CHART = 16
_LONGEST_NAME = 24
_MOST_LINES = 32
_FIRST_LINES = 24
_MOST_WITH_SHARES = 6
_MOST_WITH_RATES = 12


def timeline_text(
    plan: Plan,
    *,
    width: int,
    is_coloured: bool = False,
    is_ascii: bool = False,
    steps_per_epoch: int | None = None,
    is_whole: bool = False,
    densities: Densities | None = None,
) -> str:
    """The timeline of a plan, at most ``width`` columns wide (but no less than 24).

    ``steps_per_epoch`` relates lengths in epochs and in updates. ``is_whole`` draws all lines of a plan with many
    branches. ``densities`` are those of a model (:func:`dsd_lang.plan.layer_counts.densities`); by default they are
    computed from the plan.

    >>> import dsd_lang
    >>> plan = dsd_lang.compile("dense 6ep lr=0.1; sparse 50%; dense")
    >>> print(timeline_text(plan, width=44, is_ascii=True).splitlines()[1])
            # 0 dense # - 1 50% --- # 2 dense ##
    """
    if not plan.phases:
        return "no phases\n"
    clocks = Clocks(plan, steps_per_epoch)
    glyphs = ASCII if is_ascii else BLOCKS
    picture = _Picture(plan, clocks, densities, glyphs, width=width, is_coloured=is_coloured, is_whole=is_whole)
    return "\n".join(picture.rows()) + "\n"


class _Picture:
    def __init__(
        self,
        plan: Plan,
        clocks: Clocks,
        densities: Densities | None,
        glyphs: Glyphs,
        *,
        width: int,
        is_coloured: bool,
        is_whole: bool,
    ) -> None:
        self.is_coloured = is_coloured
        self.width = width
        self.glyphs = glyphs
        self.clocks = clocks
        self.rates = Rates(plan, clocks)
        self.scale = RateScale(self.rates.levels)
        self.lines = lanes_of(plan, clocks)
        self.shown = self.lines if is_whole else _cut(self.lines)
        self.has_one_line = len(self.lines) == 1 and not self.lines[0].title
        longest = 0 if self.has_one_line else max(len(line.title) for line in self.shown)
        self.margin = min(max(8, longest + 2), max(8, min(_LONGEST_NAME, width // 3)))
        self.chart = max(_LEAST_CHART, width - self.margin)
        self.layout = Layout(clocks, self.rates, PrunedShares(plan, densities), self.chart)

    def rows(self) -> Iterator[str]:
        if self.clocks.unit != "phases":
            yield self.headed(self.clocks.unit, axis(self.clocks.total, self.chart))
        laid_out = [(line, self.layout.line(line)) for line in self.shown]
        for line, columns in laid_out:
            yield from self.line(line, columns)
        yield from self.sentences(laid_out)

    @property
    def has_shares(self) -> bool:
        return len(self.shown) <= _MOST_WITH_SHARES

    @property
    def has_rates(self) -> bool:
        return len(self.shown) <= _MOST_WITH_RATES

    def line(self, line: Lane, columns: LineColumns) -> Iterator[str]:
        name = "" if self.has_one_line else _fitting(line.title, self.margin - 1, self.glyphs)
        with_length = self.clocks.unit == "phases"
        yield self.headed(
            name, bar(columns, self.glyphs, with_length=with_length, is_coloured=self.is_coloured), "strong"
        )
        height = 2 if self.has_one_line else 1
        if self.has_shares and _prunes(columns):
            yield from self.curve("pruned", levels_of(columns, float, of_rate=False), height, "sparse")
        if self.has_rates:
            yield from self.curve("lr", levels_of(columns, self.scale.level, of_rate=True), height, "rate")

    def curve(self, name: str, levels: Sequence[float | None], height: int, colour: str) -> Iterator[str]:
        if not any(level is not None for level in levels):
            return
        rows = curve(levels, self.glyphs, height)
        indented = name if self.has_one_line else f"  {name}"
        for index, row in enumerate(rows):
            yield self.headed(
                indented if index == len(rows) - 1 else "", paint(row, colour, is_coloured=self.is_coloured)
            )

    def headed(self, name: str, row: str, colour: str = "") -> str:
        head = name.ljust(self.margin)
        if colour and name:
            head = paint(name, colour, is_coloured=self.is_coloured) + " " * (self.margin - len(name))
        return (head + row).rstrip()

    def sentences(self, laid_out: Sequence[tuple[Lane, LineColumns]]) -> Iterator[str]:
        said = [*notes(self.clocks, self.rates.left_out if self.has_rates else (), self.lines, laid_out, self.glyphs)]
        if self.has_rates and self.scale.highest:
            has_shares = self.has_shares and any(_prunes(columns) for _, columns in laid_out)
            said.insert(1, rate_range(self.scale, self.rates, has_shares))
        elif not self.has_rates:
            said.append("Learning rates are left out beside so many lines: the table has them.")
        for sentence in said:
            wrapped = textwrap.wrap(sentence, self.width, subsequent_indent="  ", break_on_hyphens=False)
            yield from (line.replace(UNBROKEN, " ") for line in wrapped)


def _prunes(columns: LineColumns) -> bool:
    return any(column is not None and column.pruned != 0 for column in columns.columns)


def _cut(lines: tuple[Lane, ...]) -> tuple[Lane, ...]:
    """The first lines and the last few, if there are too many."""
    if len(lines) <= _MOST_LINES:
        return lines
    return lines[:_FIRST_LINES] + lines[-(_MOST_LINES - _FIRST_LINES) :]


def _fitting(name: str, room: int, glyphs: Glyphs) -> str:
    """Shortens a path at the start; its end distinguishes branches."""
    return name if len(name) <= room else glyphs.ellipsis + name[len(name) - room + len(glyphs.ellipsis) :]
