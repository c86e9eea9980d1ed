"""Converts diagnostics, plans and completions to the plain data of the playground's answers.

Offsets are in UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from dsd_lang.base.diagnostics import Diagnostic, Fix, rule_url
from dsd_lang.base.source import SourceText
from dsd_lang.cli.flags import Given
from dsd_lang.rules import page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lsprotocol.types import CompletionItem

    from dsd_lang.cli.plan_source import Compiled
    from dsd_lang.plan import Phase, Plan
    from dsd_lang.plan.cost import Densities

_SITE = ".."  # the playground is one folder below the pages of the rules
_MARKED = frozenset({"pruned", "layers", "length", "start lr"})

Answer = dict[str, Any]


class Places:
    """The offsets of a text as a browser counts them: characters outside of the basic plane count as two."""

    def __init__(self, text: str) -> None:
        self.source = SourceText(text)
        self._wide = [] if text.isascii() else [index for index, one in enumerate(text) if one > "\uffff"]

    def offset(self, code_points: int) -> int:
        """An offset in code points as one in UTF-16 units."""
        return code_points + bisect_left(self._wide, code_points)

    def of(self, start: int, end: int) -> dict[str, int]:
        """The range between two offsets in code points."""
        return {"from": self.offset(start), "to": self.offset(end)}

    def at(self, line: int, column: int) -> int:
        """The offset in code points of a line and column from 1."""
        return self.source.starts[line - 1] + column - 1


def diagnostic_shown(diagnostic: Diagnostic, places: Places) -> Answer:
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        **places.of(diagnostic.span.start, diagnostic.span.end),
        "url": rule_url(diagnostic.code, docs_url=_SITE),
        "summary": (page(diagnostic.code) or "").split("\n\n", 1)[0].strip(),
        "fix": None if diagnostic.fix is None else _fix(diagnostic.fix, places),
    }


def _fix(fix: Fix, places: Places) -> Answer:
    edits = [{**places.of(edit.span.start, edit.span.end), "insert": edit.content} for edit in fix.edits]
    return {"message": fix.message, "applicability": fix.applicability, "edits": edits}


def rows_shown(resolved: Plan) -> tuple[list[str], list[list[Answer]]]:
    """The table of `dsd-plan`, with its `*` marks as a flag for each cell."""
    from dsd_lang.views.table import MARK, table_rows

    headers, rows = table_rows(resolved)
    return headers, [
        [
            {"text": cell.removesuffix(MARK), "derived": cell.endswith(MARK)}
            if header in _MARKED
            else {"text": cell, "derived": False}
            for header, cell in zip(headers, row, strict=True)
        ]
        for row in rows
    ]


def place_of(phase: Phase, places: Places) -> dict[str, int]:
    assert phase.span is not None, "a plan compiled from text knows where its phases stand"
    span = phase.span
    return places.of(places.at(span.line, span.column), places.at(span.end_line, span.end_column))


def weighed(found: Compiled) -> tuple[str, Densities | None]:
    """With a model, the exact counts of `dsd-plan --model` as text, and the shares that follow from them."""
    layers = found.circumstances.layers
    if layers is None:
        return "", None
    from dsd_lang.plan.layer_counts import count_weights, densities
    from dsd_lang.views.counts import counts_table

    counts = count_weights(found.plan, layers)
    model = str(found.plan.settings["model"])
    return counts_table(found.plan, counts, layers, model=model), densities(found.plan, counts)


def totals_shown(found: Compiled) -> list[tuple[str, str]]:
    """The last lines of `dsd-plan`, each as a name and a value."""
    from dsd_lang.cli.plan_page import Page, page_text

    wide = Page(width=10_000, is_fitted=False, is_coloured=False, is_whole=False)
    whole = page_text(found, Given({"--timeline": ["none"]}, []), wide, {})
    parts = (line.partition(": ") for line in whole.rstrip().rsplit("\n\n", 1)[-1].splitlines())
    return [(name, text) for name, _, text in parts]


def offer_shown(item: CompletionItem) -> Answer:
    page = item.documentation
    edit = item.text_edit
    assert not isinstance(page, str), "the server's pages are Markdown"
    assert edit is not None, "the server says what an offer replaces"
    return {
        "label": item.label,
        "insert": edit.new_text,
        "detail": item.detail or "",
        "page": page.value if page is not None else "",
    }
