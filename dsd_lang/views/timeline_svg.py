"""The timeline of a plan as SVG: for each branch the share of weights not pruned, and the learning rate below.

:func:`timeline_picture` uses class names, whose colours and fonts the page defines; :func:`standalone_timeline`
includes colours for light and dark pages; both have the same look. The numbers are those of `dsd-plan`'s timeline, from
`dsd_lang.views.timeline`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import exact, format_exact
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.cost import Densities
from dsd_lang.views.table import layers_text, rate_text, target_text
from dsd_lang.views.timeline.clocks import Clocks
from dsd_lang.views.timeline.curves import RateScale
from dsd_lang.views.timeline.lines import lanes_of
from dsd_lang.views.timeline.notes import rate_range
from dsd_lang.views.timeline.rates import Rate, Rates
from dsd_lang.views.timeline.shares import PrunedShares

MAX_LANES, MAX_LANES_WITH_RATES = 40, 8
_RATE, _AXIS, _TOP, _RIGHT = 40, 30, 6, 8
_LETTER, _LONGEST_NAME, _TICK = 6.3, 150, 70
_STEPS = 48
TIMELINE_RULES = """\
.dsd-timeline { color: var(--text); font: 12px system-ui, sans-serif; max-width: none; }
.dsd-timeline text { fill: currentcolor; }
.dsd-timeline .tick, .dsd-timeline .level { font-size: 10px; }
.dsd-timeline .middle { text-anchor: middle; }
.dsd-timeline .end { text-anchor: end; }
.dsd-timeline .lane, .dsd-timeline .words { font-weight: 600; }
.dsd-timeline .grid { stroke: currentcolor; stroke-opacity: 0.15; }
.dsd-timeline .link { stroke: currentcolor; stroke-opacity: 0.5; stroke-dasharray: 2 3; fill: none; }
.dsd-timeline .dense { color: var(--dense); }
.dsd-timeline .sparse { color: var(--sparse); }
.dsd-timeline .track { fill: currentcolor; fill-opacity: 0.12; stroke: currentcolor; stroke-opacity: 0.5; }
.dsd-timeline .alive { fill: currentcolor; fill-opacity: 0.45; }
.dsd-timeline .alive.unknown { fill-opacity: 0.2; }
.dsd-timeline .bound .track { stroke-dasharray: 4 3; }
.dsd-timeline .phase .words { fill: var(--text); }
.dsd-timeline .level { fill: var(--rate); }
.dsd-timeline .rate { fill: none; stroke: var(--rate); stroke-width: 1.75; stroke-linejoin: round; }
"""
"""The look of the picture; the page sets the colours `--text`, `--dense`, `--sparse` and `--rate`."""
_STYLE = f"""<style>
.dsd-timeline {{ --text: #24292f; --dense: #2f6fb3; --sparse: #c06014; --rate: #a347ba; }}
@media (prefers-color-scheme: dark) {{
  .dsd-timeline {{ --text: #e3e7ee; --dense: #6aa9e9; --sparse: #f0a058; --rate: #cf8ae0; }}
}}
{TIMELINE_RULES}</style>"""


class Picture(NamedTuple):
    """The drawing, sentences about what it does not show, and whether learning rates are drawn."""

    svg: str
    notes: tuple[str, ...]
    has_rates: bool


def timeline_picture(plan: Plan, width: int, densities: Densities | None = None) -> Picture:
    """The picture, ``width`` pixels wide; ``densities`` are those of a model, by default from the plan."""
    drawing = _Drawing(plan, width, densities)
    return Picture(drawing.svg(), tuple(drawing.notes()), drawing.has_rates)


def standalone_timeline(plan: Plan, width: int) -> str:
    """The picture as a file of its own that works on light and dark pages."""
    svg = timeline_picture(plan, width).svg
    head, _, body = svg.partition(">")
    return f"{head}>{_STYLE}{body}\n"


class _Drawing:
    """What all parts of the picture need: the lines and the positions."""

    def __init__(self, plan: Plan, width: int, densities: Densities | None) -> None:
        self.plan = plan
        self.width = width
        self.clocks = Clocks(plan)
        self.shares = PrunedShares(plan, densities)
        self.rates = Rates(plan, self.clocks)
        self.scale = RateScale(self.rates.levels)
        lanes = lanes_of(plan, self.clocks)
        self.num_left_out = len(lanes) - MAX_LANES if len(lanes) > MAX_LANES else 0
        self.gap_at = MAX_LANES // 2  # the row that says how many are left out
        self.lanes = (*lanes[: self.gap_at], *lanes[self.gap_at + self.num_left_out :]) if self.num_left_out else lanes
        self.has_rates = len(self.lanes) <= MAX_LANES_WITH_RATES and bool(self.scale.highest)
        self.bar_height, self.gap = (34, 12) if len(self.lanes) <= MAX_LANES_WITH_RATES else (20, 6)
        longest = max((len(lane.title) for lane in self.lanes), default=0)
        self.left = 2 + min(_LONGEST_NAME, width // 4, longest * _LETTER + 8 if longest else 0)
        self.per_unit = (width - self.left - _RIGHT) / (self.clocks.total or 1)
        self.floor = self.top(len(self.lanes))

    def x(self, time: float) -> float:
        return self.left + time * self.per_unit

    def top(self, lane: int) -> int:
        return self.row_top(lane + 1 if self.num_left_out and lane >= self.gap_at else lane)

    def row_top(self, row: int) -> int:
        return _TOP + row * (self.bar_height + self.gap + (_RATE if self.has_rates else 0))

    def svg(self) -> str:
        height = self.floor + _AXIS
        body = "".join([*self.axis(), *self.links(), *self.bars(), *(self.curves() if self.has_rates else ())])
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" class="dsd-timeline" role="img" '
            f'aria-label="timeline of {len(self.plan.phases)} phases, described in the table below" '
            f'width="{self.width}" height="{height}" viewBox="0 0 {self.width} {height}">{body}</svg>'
        )

    def notes(self) -> Iterator[str]:
        if self.has_rates:
            yield rate_range(self.scale, self.rates, False)
        if self.clocks.unit == "phases":
            yield "lengths are in `ep` and `it`, so all phases are drawn at the same length"
        yield from (f"not drawn: {what}" for what in self.rates.left_out)
        if self.num_left_out:
            yield f"{self.num_left_out:,} branches in the middle are not drawn"

    def axis(self) -> Iterator[str]:
        """Ticks at round numbers, and the unit."""
        step = _round_step(self.clocks.total, max(2, int((self.width - self.left) / _TICK)))
        for tick in range(int(self.clocks.total / step + 1e-9) + 1 if step else 1):
            x = self.x(tick * step)
            anchor = "start" if tick == 0 else "middle" if x < self.width - 30 else "end"
            yield f'<path class="grid" d="M{x:.1f},{_TOP}V{self.floor}"/>'
            yield _text(x, self.floor + 12, f"{tick * step:g}", f"tick {anchor}")
        yield _text(self.width - _RIGHT, self.floor + 25, self.clocks.unit, "tick end")

    def links(self) -> Iterator[str]:
        """Links from the line of a branch's parent to the branch."""
        lane_of = {phase.id: number for number, lane in enumerate(self.lanes) for _, phase in lane.phases}
        for number, lane in enumerate(self.lanes):
            first = lane.phases[0][1]
            above = lane_of.get(first.parent or "", number)
            if above < number:
                x = self.x(self.clocks.stretches[first.id].start)
                yield f'<path class="link" d="M{x:.1f},{self.top(above) + self.bar_height}V{self.top(number) + 4}"/>'

    def bars(self) -> Iterator[str]:
        most = int((self.left - 8) / _LETTER)
        if self.num_left_out:
            middle = self.row_top(self.gap_at) + self.bar_height / 2 + 4
            yield _text(self.left, middle, f"... {self.num_left_out:,} more branches ...", "gap")
        for number, lane in enumerate(self.lanes):
            if lane.title:
                name = lane.title if len(lane.title) <= most else "…" + lane.title[1 - most :]
                label = _text(2, self.top(number) + self.bar_height / 2 + 4, name, "lane")
                yield f"<g><title>{escape(lane.title)}</title>{label}</g>"
            for index, phase in lane.phases:
                yield self.bar(index, phase, self.top(number))

    def bar(self, index: int, phase: Phase, top: int) -> str:
        """A phase: a box of its length, filled to the share of weights that is not pruned."""
        stretch = self.clocks.stretches[phase.id]
        x, width = self.x(stretch.start), max(stretch.length * self.per_unit - 1, 2)
        kinds = f"phase {phase.mode}{' bound' if phase.until is not None or phase.cycles else ''}"
        box = f'x="{x:.1f}" y="{top}" width="{width:.1f}" height="{self.bar_height}" rx="3"'
        is_curved = phase.target is not None and phase.target.kind == "ramp"
        pruned = [self.shares.at(phase, share) for share in _samples(is_curved)]
        alive = [1 - share for share in pruned if share is not None]
        fill = (
            _filled(x, width, (top, top + self.bar_height), alive) if alive else f'<rect class="alive unknown" {box}/>'
        )
        words = next((text for text in _names(phase) if len(text) * _LETTER + 8 <= width), "")
        label = _text(x + 6, top + self.bar_height / 2 + 4, words, "words") if words else ""
        title = f"<title>{escape(_told(index, phase))}</title>"
        return f'<g class="{kinds}" data-row="{index}">{title}<rect class="track" {box}/>{fill}{label}</g>'

    def curves(self) -> Iterator[str]:
        """The learning rates below each line, all on one scale."""
        for number, lane in enumerate(self.lanes):
            for index, phase in lane.phases:
                rate = self.rates.of[phase.id]
                if rate is not None and rate.is_multiple is self.rates.are_multiples:
                    yield self.curve(index, phase, rate, self.top(number) + self.bar_height + 14)

    def curve(self, index: int, phase: Phase, rate: Rate, top: int) -> str:
        """A phase's rate as a curve, labelled with its start if there is room."""
        stretch = self.clocks.stretches[phase.id]
        is_flat = phase.lr.decay.kind == "constant" and phase.lr.warmup is None
        points = [
            (
                self.x(stretch.start + share * stretch.length),
                top + (_RATE - 18) * (1 - self.scale.level(rate.at(share))),
            )
            for share in _samples(not is_flat)
        ]
        start = rate.start if phase.lr.warmup is not None else rate.at(0.0)
        words = format_exact(exact(f"{start:.3g}")) + (" x own" if rate.is_multiple else "")
        has_room = len(words) * _LETTER <= stretch.length * self.per_unit
        label = _text(points[0][0] + 2, points[0][1] - 4, words, "level") if has_room else ""
        line = f'<polyline class="rate" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
        return f'<g data-row="{index}">{line}{label}</g>'


def _samples(is_curved: bool) -> list[float]:
    return [step / _STEPS for step in range(_STEPS + 1)] if is_curved else [0.0, 1.0]


def _filled(x: float, width: float, heights: tuple[int, int], alive: list[float]) -> str:
    """The area under a curve from left to right, each value between 0 (bottom) and 1 (top)."""
    ceiling, floor = heights
    points = [
        f"{x + width * step / (len(alive) - 1):.1f},{floor - (floor - ceiling) * value:.1f}"
        for step, value in enumerate(alive)
    ]
    return f'<polygon class="alive" points="{x:.1f},{floor} {" ".join(points)} {x + width:.1f},{floor}"/>'


def _names(phase: Phase) -> tuple[str, ...]:
    """The possible labels of a bar, longest first."""
    words = f"{phase.mode} {target_text(phase.target)}" if phase.mode == "sparse" else phase.mode
    longest = f"{phase.label}: {words}" if phase.label else words
    return longest, words, target_text(phase.target) if phase.mode == "sparse" else words, phase.mode[0].upper()


def _told(index: int, phase: Phase) -> str:
    """The tooltip of a phase."""
    words = [f"{index} {phase.mode}"]
    if phase.mode == "sparse":
        words += [target_text(phase.target), layers_text(phase)]
    words += [str(phase.duration.length), f"lr {rate_text(phase.lr)}"]
    return ", ".join(words) + (f"\n{phase.why}" if phase.why else "")


def _round_step(total: float, most: int) -> float:
    """The smallest of 1, 2, 5, 10, ... that gives at most that many ticks."""
    if total <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(total / most))
    return next(power * factor for factor in (1, 2, 5, 10) if total / (power * factor) <= most)


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
