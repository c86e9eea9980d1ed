"""Collects the diagnostics of passes and rules, each once per span, however many rounds a loop has."""

from __future__ import annotations

from collections.abc import Iterator

from dsd_lang.base.diagnostics import CalledSpan, Diagnostic, Fix, Span


class Diagnostics:
    """Diagnostics in the order found, at most one for each code and span."""

    __slots__ = ("_items", "_seen")

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []
        self._seen: set[tuple[str, int, int, str | None]] = set()

    def add(
        self, code: str, message: str, span: Span, *, label: str = "", help: str = "", fix: Fix | None = None
    ) -> None:
        """Adds a diagnostic, unless the same code was reported for the same span before."""
        diagnostic = Diagnostic(code, message, span, label, help, fix)
        self.report(diagnostic)

    def report(self, diagnostic: Diagnostic) -> None:
        """Adds a diagnostic made by its rule, unless the same code was reported for the same span before."""
        span = diagnostic.span
        key = (diagnostic.code, span.start, span.end, span.file if isinstance(span, CalledSpan) else None)
        if key not in self._seen:
            self._seen.add(key)
            self._items.append(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._items)

    def __contains__(self, code: str) -> bool:
        return any(item.code == code for item in self._items)

    def __len__(self) -> int:
        return len(self._items)
