"""Copies nodes with other spans: text behind an edit has moved, and the body of a `def` stands for every call of it.

The function for each class of nodes is written from its fields, so a new class needs nothing here: spans are changed,
what may hold nodes is searched, and plain data is shared.
"""

from __future__ import annotations

from collections.abc import Callable

from dsd_lang.base.diagnostics import Span
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = ("str", "bool", "Fraction", "Unit", "Selector", "str | None", "tuple[str, ...]")


class NodeCopies:
    """Copies of one kind: ``span`` is the expression of a new span, of the old one `{0}` and the ``parameters``.

    >>> moved = NodeCopies("columns", "Span({0}[0], {0}[1] + columns, {0}[2], {0}[3] + columns, *{0}[4:])", Span=Span)
    >>> moved((nodes.HeldTarget(Span(1, 1, 1, 5, 0, 4)),), 3)[0].span.column
    4
    """

    def __init__(self, parameters: str, span: str, **names: Any) -> None:
        self._parameters, self._span = parameters, span
        self._names = {**names, "copied": self}
        self._copiers: dict[type, Callable[..., Any] | None] = {tuple: _copied_tuple(self)}

    def __call__(self, value: Any, *how: Any) -> Any:
        """A copy of a node, a span or a tuple of them; anything else as it is."""
        kind = type(value)
        if kind not in self._copiers:
            self._copiers[kind] = self._copier_of(kind)
        copier = self._copiers[kind]
        return value if copier is None else copier(value, *how)

    def _copier_of(self, kind: Any) -> Callable[..., Any] | None:
        """The function for a class; None for one that has no spans."""
        if issubclass(kind, Span):
            return self._made(f"def copier(span, {self._parameters}): return {self._span.format('span')}")
        if kind.__module__ != nodes.__name__:
            return None
        parts = []
        for name, annotation in kind.__annotations__.items():
            if annotation == "Span":
                parts.append(self._span.format(f"span_{name}"))
            elif annotation in _PLAIN or annotation.startswith("Literal["):
                parts.append(f"node.{name}")
            else:
                parts.append(f"copied(node.{name}, {self._parameters})")
        spans = [name for name, annotation in kind.__annotations__.items() if annotation == "Span"]
        taken = "; ".join(f"span_{name} = node.{name}" for name in spans) or "pass"
        body = f" {taken}\n return kind({', '.join(parts)})"
        return self._made(f"def copier(node, {self._parameters}):\n{body}", kind=kind)

    def _made(self, source: str, **names: Any) -> Callable[..., Any]:
        scope = {**self._names, **names}
        exec(source, scope)
        made: Callable[..., Any] = scope["copier"]
        return made


def _copied_tuple(copied: NodeCopies) -> Callable[..., Any]:
    return lambda values, *how: tuple([copied(value, *how) for value in values])
