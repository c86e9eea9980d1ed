"""The phase graph of a plan as a networkx DiGraph, with exports to Mermaid, DOT and SVG.

Nodes are phase ids with their attributes. An edge of kind `parent` leads from the phase that a phase starts from, one
of kind `reference` (with the argument's name) from a phase whose checkpoint it uses.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from dsd_lang.plan import Plan
from dsd_lang.plan.dependencies import dependency_graph
from dsd_lang.views.graph_svg import FILL, positions, svg_text
from dsd_lang.views.table import rate_text, target_text


class PhaseGraph(nx.DiGraph):  # type: ignore[misc]
    """The phases of a plan and their dependencies.

    >>> import dsd_lang
    >>> graph = PhaseGraph(dsd_lang.compile("dense 5ep; sparse 50%; dense"))
    >>> list(graph.edges)
    [('p0', 'p1'), ('p1', 'p2')]
    """

    def __init__(self, incoming_graph_data: Any = None, **attributes: Any) -> None:
        if not isinstance(incoming_graph_data, Plan):
            super().__init__(incoming_graph_data, **attributes)
            return
        super().__init__(dependency_graph(incoming_graph_data), **attributes)
        for index, phase in enumerate(incoming_graph_data.phases):
            self.nodes[phase.id].update(
                index=index,
                label=phase.label,
                path=phase.path,
                mode=phase.mode,
                pruned=target_text(phase.target),
                length=str(phase.duration.length),
                lr=rate_text(phase.lr),
            )

    def __repr__(self) -> str:
        """One line: the number of phases, and of checkpoints they use other than the ones they start from."""
        used = sum(bool(data.get("arguments")) for _, _, data in self.edges(data=True))
        words = [f"{len(self)} phase{'' if len(self) == 1 else 's'}", f"checkpoints used: {used}"]
        return f"<PhaseGraph: {', '.join(words if used else words[:1])}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The picture, for notebooks."""
        from dsd_lang.views.notebook import graph_html

        return graph_html(self)

    def title(self, node: str) -> tuple[str, str]:
        """The two lines in a phase's box."""
        name, head, tail = self.words(node)
        return f"{name}: {head}" if name else head, tail

    def words(self, node: str) -> tuple[str, str, str]:
        """A phase's branch and label, what it does, and its length and learning rate."""
        data = self.nodes[node]
        names = [name for name in (data["path"], data["label"]) if name]
        head = f"{data['index']} {data['mode']}" + (f" {data['pruned']}" if data["mode"] == "sparse" else "")
        return ".".join(names), head, f"{data['length']}, lr {data['lr']}"

    @property
    def runs_across(self) -> bool:
        """Whether lines run from left to right: with more branches than phases in a line, they are rows."""
        at = positions(self).values()
        return max((line for line, _ in at), default=0) > max((step for _, step in at), default=0)

    def to_mermaid(self) -> str:
        """A Mermaid flowchart."""
        lines = [f"flowchart {'LR' if self.runs_across else 'TD'}"]
        for node in self.nodes:
            first, second = (_mermaid_text(text) for text in self.title(node))
            lines.append(f'  {node}["{first}<br/>{second}"]:::{self.nodes[node]["mode"]}')
        for source, target, data in self.edges(data=True):
            label = ", ".join(data["arguments"])
            arrow = "-->" if data["kind"] == "parent" else "-.->"
            lines.append(f"  {source} {arrow}{f'|{label}|' if label else ''} {target}")
        lines += [f"  classDef {mode} fill:{colour},stroke:#555" for mode, colour in FILL.items()]
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """A Graphviz digraph."""
        lines = [
            "digraph schedule {",
            f"  rankdir={'LR' if self.runs_across else 'TB'};",
            '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
        ]
        for node in self.nodes:
            text = "\\n".join(part.replace("\\", "\\\\").replace('"', '\\"') for part in self.title(node))
            lines.append(f'  {node} [label="{text}", fillcolor="{FILL[self.nodes[node]["mode"]]}"];')
        for source, target, data in self.edges(data=True):
            label = ", ".join(data["arguments"])
            style = [] if data["kind"] == "parent" else ["style=dashed"]
            style += [f'label="{label}"'] if label else []
            lines.append(f"  {source} -> {target}{' [' + ', '.join(style) + ']' if style else ''};")
        return "\n".join([*lines, "}"]) + "\n"

    def to_svg(self) -> str:
        """A picture: a line of boxes for each branch, in rows or in columns, whichever is narrower."""
        return svg_text(self)


def _mermaid_text(text: str) -> str:
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text
