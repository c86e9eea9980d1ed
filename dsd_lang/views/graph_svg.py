"""Draws a phase graph as SVG: one row of boxes for each branch.

Lines are rows if there are more branches than phases in a line, else columns, so that the picture is tall rather than
wide, because pages scroll down.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from dsd_lang.base.named_tuples import NamedTuple

if TYPE_CHECKING:
    from dsd_lang.views.graph import PhaseGraph

FILL = {"dense": "#dbe9f6", "sparse": "#fde3c8"}
_WIDTH, _LINE, _MARGIN = 196, 17, 16
_GAP_ALONG, _GAP_BETWEEN = 34, 20
_MOST_CHARACTERS = 27
_MOST_USERS = 4


class _Grid(NamedTuple):
    """Box positions: (line, index) to the x, y of the corner."""

    runs_across: bool
    height: int

    def corner(self, position: tuple[int, int]) -> tuple[int, int]:
        column, row = position[::-1] if self.runs_across else position
        along, between = (_GAP_ALONG, _GAP_BETWEEN) if self.runs_across else (_GAP_BETWEEN, _GAP_ALONG)
        return _MARGIN + column * (_WIDTH + along), _MARGIN + row * (self.height + between)


def positions(graph: PhaseGraph) -> dict[str, tuple[int, int]]:
    """Line and index of every phase: the first phase that continues another stays in its line, others open new ones."""
    found: dict[str, tuple[int, int]] = {}
    taken: set[str] = set()
    num_lines = 0
    for node in graph.nodes:
        parent = next((source for source, _, kind in graph.in_edges(node, data="kind") if kind == "parent"), None)
        step = found[parent][1] + 1 if parent is not None else 0
        if parent is not None and parent not in taken:
            taken.add(parent)
            found[node] = (found[parent][0], step)
            continue
        found[node] = (num_lines, step)
        num_lines += 1
    return found


def svg_text(graph: PhaseGraph) -> str:
    """The picture on a white background; every box has its whole text as a tooltip."""
    at = positions(graph)
    num_lines = max((len(_words(graph, node)) for node in graph.nodes), default=2)
    grid = _Grid(graph.runs_across, 12 + num_lines * _LINE)
    corners = {node: grid.corner(position) for node, position in at.items()}
    width = max((x for x, _ in corners.values()), default=0) + _WIDTH + _MARGIN
    height = max((y for _, y in corners.values()), default=0) + grid.height + _MARGIN
    body = "\n".join([*_edges(graph, corners, grid), *_boxes(graph, corners, grid.height)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>\n'
        f'<path d="M0,0 H{width} V{height} H0 z" fill="#fff"/>\n'
        f"{body}\n</svg>\n"
    )


def _words(graph: PhaseGraph, node: str) -> list[str]:
    """The lines of a box: name, mode, length and rate, and checkpoints used other than the one it starts from."""
    used = [
        f"{', '.join(data['arguments'])}: phase {graph.nodes[source]['index']}"
        for source, _, data in graph.in_edges(node, data=True)
        if data["arguments"]
    ]
    return [word for word in (*graph.words(node), "; ".join(used)) if word]


def _boxes(graph: PhaseGraph, corners: dict[str, tuple[int, int]], height: int) -> Iterator[str]:
    for node, (x, y) in corners.items():
        words = _words(graph, node)
        texts = "".join(
            f'<text x="{x + 10}" y="{y + (row + 1) * _LINE}"{"" if row else _BOLD}>{escape(_fitting(word))}</text>'
            for row, word in enumerate(words)
        )
        fill = FILL[graph.nodes[node]["mode"]]
        yield (
            f'<g><title>{escape(" / ".join(words))}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{height}" '
            f'rx="6" fill="{fill}" stroke="#555"/>{texts}</g>'
        )


_BOLD = ' font-weight="bold"'


def _edges(graph: PhaseGraph, corners: dict[str, tuple[int, int]], grid: _Grid) -> Iterator[str]:
    """Elbows from a phase to those that continue it; dashed lines to users of its checkpoint, if they are few."""
    for source, target, data in graph.edges(data=True):
        (x1, y1), (x2, y2) = corners[source], corners[target]
        if data["kind"] == "parent":
            yield f'<path d="{_elbow(x1, y1, x2, y2, grid)}" fill="none" stroke="#555" marker-end="url(#tip)"/>'
        elif _num_users(graph, source) <= _MOST_USERS:
            yield (
                f'<path d="{_arc(x1, y1, x2, y2, grid)}" fill="none" stroke="#999" stroke-dasharray="5 4" '
                'marker-end="url(#tip)"/>'
            )


def _num_users(graph: PhaseGraph, source: str) -> int:
    return sum(kind == "reference" for _, _, kind in graph.out_edges(source, data="kind"))


def _elbow(x1: int, y1: int, x2: int, y2: int, grid: _Grid) -> str:
    """From the end of one box to the start of the other."""
    if grid.runs_across:
        y1, y2 = y1 + grid.height // 2, y2 + grid.height // 2
        return f"M{x1 + _WIDTH},{y1} H{x2 - _GAP_ALONG // 2} V{y2} H{x2}"
    x1, x2 = x1 + _WIDTH // 2, x2 + _WIDTH // 2
    return f"M{x1},{y1 + grid.height} V{y2 - _GAP_ALONG // 2} H{x2} V{y2}"


def _arc(x1: int, y1: int, x2: int, y2: int, grid: _Grid) -> str:
    """From the side of one box to the side of the other, curved around the boxes in between."""
    if grid.runs_across:
        y1, y2 = (y + grid.height for y in (y1, y2))
        x1, x2, bend = x1 + _WIDTH * 3 // 4, x2 + _WIDTH // 4, max(y1, y2) + _GAP_BETWEEN
        return f"M{x1},{y1} C{x1},{bend} {x2},{bend} {x2},{y2}"
    x1, x2 = (x + _WIDTH for x in (x1, x2))
    y1, y2, bend = y1 + grid.height * 3 // 4, y2 + grid.height // 4, max(x1, x2) + _GAP_BETWEEN
    return f"M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}"


def _fitting(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
