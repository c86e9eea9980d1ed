"""Results in notebooks: verdicts, table and timeline as HTML, a figure as the chart that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from dsd_lang.plan import Plan
from dsd_lang.views.timeline_svg import standalone_timeline
from dsd_runtime.results.report_tables import result_table
from dsd_runtime.results.results import Results

_CELL = "text-align:left;padding:2px 10px"
_MOST_ROWS = 40
_VEGA_LITE = "application/vnd.vegalite.v5+json"  # the type that JupyterLab, VS Code and others draw
_WIDTH = 640


class ShownFigure(dict[str, Any]):
    """A Vega-Lite specification, a plain dict in every other way.

    >>> sorted(ShownFigure(mark="bar", width="container")._repr_mimebundle_())
    ['application/vnd.vegalite.v5+json', 'text/plain']
    """

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """What a notebook draws, at a fixed width: the cell of an output has none."""
        drawn = {**self, "width": _WIDTH} if self.get("width") == "container" else dict(self)
        return {_VEGA_LITE: drawn, "text/plain": f"<figure: Vega-Lite, {len(str(drawn))} characters>"}


def results_html(results: Results, plan: Plan | None) -> str:
    """The head, one paragraph a verdict, the paper's table, the timeline of the plan. All text is escaped.

    >>> from dsd_runtime.results.parts import Provenance
    >>> "&lt;b&gt;" in results_html(Results(run="<b>", provenance=Provenance(plan_hash="sha256:0")), None)
    True
    """
    table = result_table([(results.run, results)])
    rows = "".join(_row(row, "td") for row in table.rows[:_MOST_ROWS])
    left_out = len(table.rows) - _MOST_ROWS
    more = f"<p>{left_out} more rows: <code>dsd-report</code></p>" if left_out > 0 else ""
    verdicts = "".join(f"<p>{escape(verdict)}</p>" for verdict in results.verdicts)
    head = f"<p><b>{escape(results.run)}</b></p>{verdicts}"
    timeline = standalone_timeline(plan, _WIDTH) if plan is not None and plan.phases else ""
    body = f"<table><thead>{_row(table.headers, 'th')}</thead><tbody>{rows}</tbody></table>{more}{timeline}"
    return f"<div>{head}{body}</div>"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
