"""What is visible at a statement: values of names, definitions, and the `within` around it."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.quantities import NO_NAMES, Names, Quantity
from dsd_lang.syntax import nodes


class Definition(NamedTuple):
    """A `def`, and what was visible where it stands; ``file`` is None if that is the schedule itself."""

    node: nodes.Def
    scope: Scope
    file: str | None = None


class Whole:
    """One round of a `within`: how long its phases take together."""

    __slots__ = ("length", "span")

    def __init__(self, length: Quantity, span: Span) -> None:
        self.length = length
        self.span = span


class Scope(NamedTuple):
    """``texts`` has the values of loop variables as written, which the plan shows."""

    names: Names = NO_NAMES
    texts: Mapping[str, str] = {}
    definitions: Mapping[str, Definition] = {}
    whole: Whole | None = None

    def with_names(self, names: Names, texts: Mapping[str, str] | None = None) -> Scope:
        """The scope inside of a loop or behind a `let`."""
        shown = self.texts if texts is None else {**self.texts, **texts}
        return Scope({**self.names, **names}, shown, self.definitions, self.whole)


NO_SCOPE = Scope()
