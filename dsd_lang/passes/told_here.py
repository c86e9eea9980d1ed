"""Tells diagnostics about text that a call or `use` brought in where the schedule itself says so."""

from __future__ import annotations

from dsd_lang.base.diagnostics import CalledSpan, Diagnostic, Related, Span, here


def told_here(diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic with a span of the schedule itself, and the other spans that it is about."""
    span = diagnostic.span
    if not isinstance(span, CalledSpan):
        return diagnostic
    own, plain = here(span), Span(*span)
    if own is span:
        related = tuple(Related(f"in this call of `{name}`", call) for name, call in _calls(span))
        return _replaced(diagnostic, plain, diagnostic.message, related=related)
    what = f"`{span.name}` of `{span.file}`" if span.name else f"`{span.file}`"
    message = f"in {what}, line {span.line}: {diagnostic.message}"
    if (span.file or "").startswith("--set "):
        message = f"in `{span.file}`: {diagnostic.message}"
    return _replaced(diagnostic, Span(*own), message, related=(Related(diagnostic.message, plain, span.file),))


def _calls(span: Span) -> list[tuple[str, Span]]:
    """The calls around a span, the innermost first, as far as they stand in the schedule itself."""
    calls: list[tuple[str, Span]] = []
    while isinstance(span, CalledSpan):
        name, span = span.name, span.call
        if name and here(span) is span:
            calls.append((name, Span(*span)))
    return calls


def _replaced(diagnostic: Diagnostic, span: Span, message: str, *, related: tuple[Related, ...]) -> Diagnostic:
    fix = diagnostic.fix if span[4:] == diagnostic.span[4:] and message == diagnostic.message else None
    return Diagnostic(diagnostic.code, message, span, diagnostic.label, diagnostic.help, fix, related)
