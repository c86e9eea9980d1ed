"""Completion items for the names of values: loop variables, parameters and `let`s."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.lsp.definitions import KINDS_IN_WORDS, Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.let_values import value_of
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.phase_parts import has_plain_target, has_target, positional
from dsd_lang.lsp.word import Word
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below

_NUMBERS = ("lr", "number", "ratio", "whole", "scale", "clip")
_DOMAINS = ("LET", "DEF", "CALLED", "FOR", "SWEEP")
_TARGETS = frozenset({"number", "target", "any"})
_ANY = frozenset({"any"})
_WORDS = (nodes.Text, nodes.Reference, nodes.SelectorNode, nodes.Call)


def variable_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """The visible names whose values are allowed at the cursor."""
    if not cursor.takes("NUMBER") or cursor.statement in ("FORK", "COMPARE"):
        return
    for definition in document.labels.values_at(word.start):
        if _fits(cursor, _kinds_of(document, definition)):
            yield _offer(document, definition)


def named_selector_offers(document: Document, word: Word) -> Iterator[Offer]:
    """The visible names that stand for selectors, or may."""
    for definition in document.labels.values_at(word.start):
        if _kinds_of(document, definition) <= {"word", "any"}:
            yield _offer(document, definition)


def _offer(document: Document, definition: Definition) -> Offer:
    value = value_of(document, definition) if definition.kind == "let" else None
    where = f"of `{definition.file}`" if definition.file else f"on line {definition.span.line}"
    kind = KINDS_IN_WORDS[definition.kind].replace("a ", "the ", 1)
    return Offer(
        definition.name,
        detail=f"{kind} {where}" + (f": {value}" if value is not None else ""),
        kind=types.CompletionItemKind.Constant if definition.kind == "let" else types.CompletionItemKind.Variable,
    )


def _kinds_of(document: Document, definition: Definition) -> frozenset[str]:
    """The kinds of a name's values: `number`, `length`, `word`, `target`; `any` where that is not known."""
    node = definition.node
    values: list[object] = []
    if isinstance(node, nodes.Let):
        values = [*node.values]
    elif isinstance(node, nodes.Parameter):
        values = [] if node.default is None else [node.default]
    elif isinstance(node, (nodes.ForBlock, nodes.Sweep)):
        bindings = [node] if isinstance(node, nodes.ForBlock) else node.bindings
        values = [value for binding in bindings for value in _values_of(binding, definition)]
    elif isinstance(node, nodes.RepeatBlock):
        return frozenset({"number"})
    named = {use.span.start for use in document.labels.uses} if not definition.file else set()
    return frozenset(_kind_of(value, named) for value in values) or _ANY


def _values_of(binding: nodes.ForBlock | nodes.SweepBinding, definition: Definition) -> list[object]:
    """The values that one variable of a loop takes."""
    index = next((number for number, name in enumerate(binding.variables) if name.span == definition.span), None)
    if index is None:
        return []
    rows = [value.values if isinstance(value, nodes.Row) else (value,) for value in binding.values]
    return [row[index] for row in rows if index < len(row)]


def _kind_of(value: object, named: set[int]) -> str:
    if isinstance(value, nodes.Range):
        return _kind_of(value.start, named)
    if isinstance(value, nodes.Name):
        return "any" if value.span.start in named else "word"
    if isinstance(value, nodes.TARGETS):
        return "target"
    if isinstance(value, _WORDS):
        return "word"
    parts = list(below(value))
    if any(isinstance(part, nodes.LengthLiteral) for part in parts):
        return "length"
    return "any" if any(isinstance(part, nodes.Name) for part in parts) else "number"


def _fits(cursor: Cursor, kinds: frozenset[str]) -> bool:
    """Whether a value of each of those kinds is allowed at the cursor."""
    if cursor.statement in _DOMAINS:
        return True
    if cursor.takes("SELECTING"):  # between the arguments of a phase: its target or length
        if cursor.statement not in ("DENSE", "SPARSE") or cursor.clause is not None:
            return False
        is_target = cursor.statement == "SPARSE" and kinds <= _TARGETS and not has_target(cursor)
        written = positional(cursor)
        names = [part for part in written if isinstance(part, nodes.Name)]
        may_be_target = cursor.statement == "SPARSE" and not has_plain_target(cursor)
        has_length = any(isinstance(part, nodes.LengthLiteral) for part in written)
        has_length = has_length or len(names) > (1 if may_be_target else 0)
        return is_target or (kinds <= {"length", "any"} and not has_length)
    row = BY_NAME.get(cursor.argument or "") if cursor.call is None else None
    if row is None:
        return kinds <= ({"length", "any"} if cursor.statement == "WITHIN" else {"number", "any"})
    wanted = "length" if row.kind == "length" else "number" if row.kind in _NUMBERS else "word"
    return kinds <= {wanted, "any"}
