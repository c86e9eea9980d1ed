"""Checks one schedule with the selected rules, for the linter and editors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import ERRORS, Diagnostic
from dsd_lang.base.layers import LayerInfo

if TYPE_CHECKING:
    from dsd_lang.analysis import Analysis
    from dsd_lang.syntax.parser import ParseResult
    from dsd_lang.syntax.terminals import Token


def check_text(
    text: str,
    *,
    selected: frozenset[str],
    layers: Sequence[LayerInfo] | None = None,
    source: str | None = None,
) -> tuple[Diagnostic, ...]:
    """The selected diagnostics of a text and its errors, without suppressed ones, in source order.

    ``source`` is the path of the text, to which the files that it uses are relative.
    Errors are always included, whatever is selected. Mistakes in the text are never raised.
    """
    from dsd_lang.analysis import analyse

    return check_analysis(text, analyse(text, layers=layers, source=source, selected=selected), selected=selected)


def check_analysis(text: str, analysis: Analysis, *, selected: frozenset[str]) -> tuple[Diagnostic, ...]:
    """The same for a text that has already been analysed."""
    kept = [item for item in analysis.diagnostics if item.code in selected or item.code in ERRORS]
    if "DSD207" in selected and analysis.resolved is not None:
        from dsd_lang.rules import unsupported_yet

        kept = sorted([*kept, *unsupported_yet.find(analysis.resolved)], key=lambda diagnostic: diagnostic.span.start)
    if "DSD902" in selected:
        from dsd_lang.rules import not_canonical

        kept = sorted([*kept, *not_canonical.find(text)], key=lambda diagnostic: diagnostic.span.start)
    if "dsd:" not in text and "fmt:" not in text:
        return tuple(kept)
    from dsd_lang.base.source import SourceText
    from dsd_lang.lint.format_comments import without_effect
    from dsd_lang.lint.suppressions import apply_suppressions
    from dsd_lang.syntax.directives import Reach, stretches

    source, comments = SourceText(text), analysis.program.comments
    reach = Reach(_tokens(text, analysis.parsed), () if analysis.parsed.diagnostics else analysis.program.statements)
    looked_for = selected if analysis.resolved is not None else frozenset()  # errors may hide diagnostics
    told = apply_suppressions(
        source, comments, kept, around=reach.on, looked_for=looked_for, reports="DSD903" in selected
    )
    if "fmt:" not in text or "DSD903" not in selected:
        return told
    found = without_effect(source, comments, stretches(_tokens(text, analysis.parsed)))
    return tuple(sorted([*told, *found], key=lambda diagnostic: diagnostic.span.start))


def _tokens(text: str, parsed: ParseResult) -> Sequence[Token]:
    """The tokens as written, not as the parser has repaired them."""
    if not parsed.diagnostics:
        return parsed.tokens
    from dsd_lang.syntax.parser import scan

    scanned, _ = scan(text)
    return () if scanned is None else scanned.tokens
