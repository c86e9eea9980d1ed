"""A plan or its graph as HTML for notebooks: the table with the timeline below it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from dsd_lang.plan import Plan
from dsd_lang.views.table import shown_numbers, table_rows
from dsd_lang.views.timeline_svg import standalone_timeline

if TYPE_CHECKING:
    from dsd_lang.views.graph import PhaseGraph

_WIDTH = 760
_CELL = "text-align:left;padding:2px 10px"


def plan_html(plan: Plan, *, title: str | None = None, states: Mapping[str, str] | None = None) -> str:
    """The table of a plan and its timeline; of a long plan the first and last phases. All text is escaped.

    ``title`` is shown above it (else the plan's repr); ``states`` give the progress of each phase by id.

    >>> import dsd_lang
    >>> plan_html(dsd_lang.compile("dense 2ep lr=0.1; sparse 50%")).count("<tr>")
    3
    """
    head = f"<p><b>{escape(title if title is not None else repr(plan))}</b></p>"
    if not plan.phases:
        return f"<div>{head}</div>"
    headers, rows = table_rows(plan, states=states)
    numbers = shown_numbers(len(rows))
    body = "".join(_row(rows[number], "td") for number in numbers)
    left_out = len(rows) - len(numbers)
    more = f"<p>{left_out} phases in the middle are not shown: <code>dsd-plan --all</code></p>" if left_out else ""
    table = f"<table><thead>{_row(headers, 'th')}</thead><tbody>{body}</tbody></table>"
    return f"<div>{head}{table}{more}{standalone_timeline(plan, _WIDTH)}</div>"


def graph_html(graph: PhaseGraph) -> str:
    """The picture of a phase graph, scrollable if it is wide."""
    return f'<div style="overflow:auto"><p><b>{escape(repr(graph))}</b></p>{graph.to_svg()}</div>'


def _row(cells: list[str], tag: str) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
