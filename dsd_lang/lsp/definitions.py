"""What a name in a text can be: a label, a branch, a sweep, a variable, a `let`, a `def` or one of its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax import nodes

Kind = Literal["phase", "branch", "sweep", "variable", "let", "parameter", "def"]
LABELS = ("phase", "branch", "sweep")
KINDS_IN_WORDS: dict[str, str] = {
    "phase": "a phase",
    "branch": "a branch",
    "sweep": "a sweep",
    "variable": "a loop variable",
    "let": "a `let`",
    "parameter": "a parameter",
    "def": "a `def`",
}


class Definition(NamedTuple):
    """A name, what it names, and the offsets between which it is visible.

    A branch has its ``fork``; a branch and a sweep have ``arms_from``, the offset from which they can be compared.
    ``file`` is the path of another file that has the definition; it is empty for the text itself.
    """

    name: str
    kind: Kind
    span: Span
    node: nodes.Statement | nodes.Branch | nodes.Parameter
    visible_from: int
    visible_to: int
    fork: nodes.Fork | None = None
    arms_from: int | None = None
    file: str = ""

    @property
    def num_seeds(self) -> int:
        """The number of seeds of a branch; 0 if `seeds=` is not a plain number."""
        given = [item.value for item in self.fork.arguments if item.name == "seeds"] if self.fork is not None else []
        return int(given[0].value) if given and isinstance(given[0], nodes.Number) else 0

    @property
    def key(self) -> tuple[str, Span]:
        """What tells two definitions apart."""
        return self.file, self.span


class Use(NamedTuple):
    """A span that refers to a definition."""

    span: Span
    definition: Definition


class LabelScope:
    """The labels of a block."""

    def __init__(self, around: LabelScope | None, start: int, end: int) -> None:
        self.around = around
        self.start = start
        self.end = end
        self.definitions: list[Definition] = []
        self.inner: list[LabelScope] = []

    def before(self, name: str, offset: int) -> Definition | None:
        """The latest definition of a name that is visible at an offset."""
        found = (item for item in reversed(self.definitions) if item.name == name and item.visible_from <= offset)
        return next(found, None)

    def chain(self) -> Iterator[LabelScope]:
        """This scope and the enclosing ones, innermost first."""
        scope: LabelScope | None = self
        while scope is not None:
            yield scope
            scope = scope.around


class Names(NamedTuple):
    """What is visible at a statement: values by name, and what can be called."""

    values: dict[str, Definition]
    calls: dict[str, Definition]

    def with_values(self, added: dict[str, Definition]) -> Names:
        """The names inside of a loop or behind a `let`."""
        return Names({**self.values, **added}, self.calls) if added else self


def exported(program: nodes.Program, file: str, visible_from: int, visible_to: int) -> Names:
    """The `def`s and top-level `let`s of a file, for one that uses it; what it uses itself stays its own."""
    values: dict[str, Definition] = {}
    calls: dict[str, Definition] = {}
    for item in program.statements:
        if isinstance(item, nodes.Let):
            name, found, kind = item.name, values, "let"
        elif isinstance(item, nodes.Def):
            name, found, kind = item.name, calls, "def"
        else:
            continue
        found[name.text] = Definition(name.text, kind, name.span, item, visible_from, visible_to, file=file)  # type: ignore[arg-type]
    return Names(values, calls)


def parameters_of(definition: Definition) -> dict[str, Definition]:
    """The parameters of a `def`, which are visible in it."""
    node = definition.node
    found: dict[str, Definition] = {}
    for parameter in node.parameters if isinstance(node, nodes.Def) else ():
        name, end = parameter.name, node.span.end
        found[name.text] = Definition(
            name.text, "parameter", name.span, parameter, parameter.span.end, end, file=definition.file
        )
    return found
