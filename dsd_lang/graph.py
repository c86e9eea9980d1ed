"""Plan in, phase graph out: a networkx DiGraph with exports to Mermaid, DOT and SVG.

Nodes are phase ids with their attributes; an edge of kind `parent` says whose state a phase starts from, one of kind
`reference` (with the argument's name) which checkpoint it uses besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import networkx as nx

from dsd_lang.plan import Phase, Plan
from dsd_lang.plan_table import rate_text, target_text

_BOX_WIDTH, _BOX_HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 46, 24, 34, 16
_FILL = {"dense": "#dbe9f6", "sparse": "#fde3c8"}


class PhaseGraph(nx.DiGraph):  # type: ignore[misc]
    """The phases of a plan and what each depends on.

    >>> import dsd_lang
    >>> graph = PhaseGraph(dsd_lang.compile("dense 5ep; sparse 50%; dense"))
    >>> list(graph.edges)
    [('p0', 'p1'), ('p1', 'p2')]
    """

    def __init__(self, incoming_graph_data: Any = None, **attributes: Any) -> None:
        if not isinstance(incoming_graph_data, Plan):
            super().__init__(incoming_graph_data, **attributes)
            return
        super().__init__(**attributes)
        plan = incoming_graph_data
        for index, phase in enumerate(plan.phases):
            self.add_node(
                phase.id,
                index=index,
                label=phase.label,
                path=phase.path,
                mode=phase.mode,
                pruned=target_text(phase.target),
                length=str(phase.duration.length),
                lr=rate_text(phase.lr),
            )
        for phase in plan.phases:
            for source, argument in references_of(phase):
                if source not in self:
                    continue
                if self.has_edge(source, phase.id):
                    self.edges[source, phase.id]["arguments"] += (argument,)
                else:
                    self.add_edge(source, phase.id, kind="reference", arguments=(argument,))
            if phase.parent is not None:
                arguments = (
                    self.edges[phase.parent, phase.id]["arguments"] if self.has_edge(phase.parent, phase.id) else ()
                )
                self.add_edge(phase.parent, phase.id, kind="parent", arguments=arguments)

    @property
    def is_acyclic(self) -> bool:
        """Whether no phase depends on itself; a compiled plan never does."""
        return bool(nx.is_directed_acyclic_graph(self))

    def title(self, node: str) -> tuple[str, str]:
        """The two lines that stand in a phase's box."""
        data = self.nodes[node]
        names = [name for name in (data["path"], data["label"]) if name]
        head = f"{data['index']} {data['mode']}" + (f" {data['pruned']}" if data["mode"] == "sparse" else "")
        return f"{'.'.join(names)}: {head}" if names else head, f"{data['length']}, lr {data['lr']}"

    def to_mermaid(self) -> str:
        """A Mermaid flowchart."""
        lines = ["flowchart TD"]
        for node in self.nodes:
            first, second = (_mermaid_text(text) for text in self.title(node))
            lines.append(f'  {node}["{first}<br/>{second}"]:::{self.nodes[node]["mode"]}')
        for source, target, data in self.edges(data=True):
            label = ", ".join(data["arguments"])
            arrow = "-->" if data["kind"] == "parent" else "-.->"
            lines.append(f"  {source} {arrow}{f'|{label}|' if label else ''} {target}")
        lines += [f"  classDef {mode} fill:{colour},stroke:#555" for mode, colour in _FILL.items()]
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """A Graphviz digraph."""
        lines = [
            "digraph schedule {",
            "  rankdir=TB;",
            '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
        ]
        for node in self.nodes:
            text = "\\n".join(part.replace("\\", "\\\\").replace('"', '\\"') for part in self.title(node))
            lines.append(f'  {node} [label="{text}", fillcolor="{_FILL[self.nodes[node]["mode"]]}"];')
        for source, target, data in self.edges(data=True):
            label = ", ".join(data["arguments"])
            style = [] if data["kind"] == "parent" else ["style=dashed"]
            style += [f'label="{label}"'] if label else []
            lines.append(f"  {source} -> {target}{' [' + ', '.join(style) + ']' if style else ''};")
        return "\n".join([*lines, "}"]) + "\n"

    def to_svg(self) -> str:
        """A picture: one row for each step of a line, one column for each branch."""
        places = self._places()
        columns = 1 + max((column for column, _ in places.values()), default=0)
        rows = 1 + max((row for _, row in places.values()), default=0)
        width = 2 * _MARGIN + columns * (_BOX_WIDTH + _GAP_X) - _GAP_X
        height = 2 * _MARGIN + rows * (_BOX_HEIGHT + _GAP_Y) - _GAP_Y
        body = "\n".join([*self._svg_edges(places), *self._svg_boxes(places)])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="12">\n'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>\n'
            f"{body}\n</svg>\n"
        )

    def _places(self) -> dict[str, tuple[int, int]]:
        """Column and row of every phase: the first to go on from a phase stays in its column, others open new ones."""
        places: dict[str, tuple[int, int]] = {}
        taken: set[str] = set()
        num_columns = 0
        for node in self.nodes:
            parent = next((s for s, _, kind in self.in_edges(node, data="kind") if kind == "parent"), None)
            if parent is not None and parent not in taken:
                taken.add(parent)
                places[node] = (places[parent][0], places[parent][1] + 1)
                continue
            row = places[parent][1] + 1 if parent is not None else 0
            places[node] = (num_columns, row)
            num_columns += 1
        return places

    def _svg_boxes(self, places: dict[str, tuple[int, int]]) -> Iterator[str]:
        for node, place in places.items():
            x, y = _corner(place)
            first, second = (escape(_fitting(text)) for text in self.title(node))
            yield (
                f'<g><title>{escape(" / ".join(self.title(node)))}</title><rect x="{x}" y="{y}" width="{_BOX_WIDTH}" '
                f'height="{_BOX_HEIGHT}" rx="6" fill="{_FILL[self.nodes[node]["mode"]]}" stroke="#555"/>'
                f'<text x="{x + 10}" y="{y + 19}" font-weight="bold">{first}</text>'
                f'<text x="{x + 10}" y="{y + 36}">{second}</text></g>'
            )

    def _svg_edges(self, places: dict[str, tuple[int, int]]) -> Iterator[str]:
        for source, target, data in self.edges(data=True):
            (x1, y1), (x2, y2) = _corner(places[source]), _corner(places[target])
            x1, y1, x2 = x1 + _BOX_WIDTH // 2, y1 + _BOX_HEIGHT, x2 + _BOX_WIDTH // 2
            dashes = "" if data["kind"] == "parent" else ' stroke-dasharray="5 4"'
            middle = (y1 + y2) // 2
            yield (
                f'<path d="M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2}" fill="none" stroke="#555"{dashes} '
                'marker-end="url(#tip)"/>'
            )


def references_of(phase: Phase) -> Iterator[tuple[str, str]]:
    """The phases whose checkpoints a phase uses besides its parent's end, with the argument that says so."""
    sources = (("from", phase.from_), ("restore", phase.restore), ("clock", phase.clock))
    for argument, source in sources:
        if source.reference is not None and source.reference.phase is not None:
            yield source.reference.phase, argument
    if phase.distill is not None and phase.distill.teacher.phase is not None:
        yield phase.distill.teacher.phase, "distill"


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return _MARGIN + place[0] * (_BOX_WIDTH + _GAP_X), _MARGIN + place[1] * (_BOX_HEIGHT + _GAP_Y)


def _fitting(text: str) -> str:
    return text if len(text) <= 28 else text[:27] + "…"


def _mermaid_text(text: str) -> str:
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text
