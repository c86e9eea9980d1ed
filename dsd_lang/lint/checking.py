"""Checks one schedule with the selected rules, for the linter and editors."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import ERRORS, Diagnostic
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.source import SourceText

TYPE_CHECKING = False
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
    if analysis.resolved is not None:
        from dsd_lang.rules import clashing_arguments, undefined_unit, unsupported_yet

        rules = [rule for rule in (unsupported_yet, clashing_arguments, undefined_unit) if rule.CODE in selected]
        found = [diagnostic for rule in rules for diagnostic in rule.find(analysis.resolved)]
        kept = sorted([*kept, *found], key=lambda diagnostic: diagnostic.span.start)
    if "DSD902" in selected:
        from dsd_lang.rules import not_canonical

        kept = sorted([*kept, *not_canonical.find(text)], key=lambda diagnostic: diagnostic.span.start)
    comments = analysis.program.comments
    if any("dsd:" in comment.text for comment in comments):
        kept = _not_suppressed(text, analysis, kept, selected)
    if "DSD903" in selected and any("fmt:" in comment.text for comment in comments):
        from dsd_lang.lint.format_comments import without_effect
        from dsd_lang.syntax.directives import stretches

        idle = without_effect(SourceText(text), comments, stretches(_tokens(text, analysis.parsed)))
        kept = sorted([*kept, *idle], key=lambda diagnostic: diagnostic.span.start)
    return tuple(kept)


def _not_suppressed(
    text: str, analysis: Analysis, diagnostics: Sequence[Diagnostic], selected: frozenset[str]
) -> list[Diagnostic]:
    """The diagnostics that no `# dsd: ignore` silences, and those about these comments."""
    from dsd_lang.lint.suppressions import apply_suppressions
    from dsd_lang.syntax.directives import Reach

    reach = Reach(_tokens(text, analysis.parsed), () if analysis.parsed.diagnostics else analysis.program.statements)
    looked_for = selected if analysis.resolved is not None else frozenset()  # errors may hide diagnostics
    return list(
        apply_suppressions(
            SourceText(text),
            analysis.program.comments,
            diagnostics,
            around=reach.on,
            looked_for=looked_for,
            reports="DSD903" in selected,
        )
    )


def _tokens(text: str, parsed: ParseResult) -> Sequence[Token]:
    """The tokens as written, not as the parser has repaired them."""
    if not parsed.diagnostics:
        return parsed.tokens
    from dsd_lang.syntax.parser import scan

    scanned, _ = scan(text)
    return () if scanned is None else scanned.tokens
