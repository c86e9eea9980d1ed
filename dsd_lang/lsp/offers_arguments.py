"""Completion items for arguments, their values and the parameters of functions."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME, RATE_WORDS, Argument
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.options import DISTILL_PARAMETERS, Option, Parameter
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.markdown import argument_page, option_page
from dsd_lang.lsp.meanings import RATE_MEANINGS
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.phase_parts import has_pattern, has_ramp, is_condition, is_held, parts, target
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

_STATEMENTS = {
    "DENSE": "dense",
    "SPARSE": "sparse",
    "SET": "set",
    "REPEAT": "repeat",
    "FORK": "fork",
    "COMPARE": "compare",
}


def argument_offers(document: Document, cursor: Cursor) -> Iterator[Offer]:
    """The arguments of the statement that are not given yet."""
    where = _STATEMENTS.get(cursor.statement or "")
    if where is None or not cursor.takes("SELECTING") or cursor.call is not None:
        return
    if cursor.clause is not None and not is_condition(cursor.clause):
        return
    if where == "compare" and not _has_arms(document, cursor):
        return
    in_tail = where in ("dense", "sparse") and _is_in_tail(cursor)
    for row in ARGUMENTS:
        is_here = where in row.places or (in_tail and row.name == "scale")
        if is_here and row.name not in cursor.named and _makes_sense(document, cursor, row.name):
            yield Offer(
                f"{row.name}=",
                f"{row.name}=${{1:{row.start}}}",
                detail=row.meaning,
                page=argument_page(row),
                kind=types.CompletionItemKind.Property,
                filter_text=row.name,
            )


def _has_arms(document: Document, cursor: Cursor) -> bool:
    """Whether a `compare` has two arms, or the one name that stands for all arms of a sweep."""
    first = cursor.items[0] if cursor.items else None
    if any(isinstance(item, Token) and item.kind == "VS" for item in cursor.items) or not isinstance(first, nodes.Name):
        return True
    label = document.labels.at(first.span.start)
    return "[" not in first.text and label is not None and label[0].kind == "sweep"


def _makes_sense(document: Document, cursor: Cursor, name: str) -> bool:
    """Whether an argument makes sense for the phase as written so far."""
    if name == "floor":
        return _decays(cursor) if "decay" in cursor.named else "decay" in document.labels.settings
    if name in ("ramp", "every"):
        return has_ramp(cursor)
    if name == "masks":
        return is_held(cursor)
    if name == "of":
        return isinstance(target(cursor), nodes.Number) and not has_ramp(cursor) and not has_pattern(cursor)
    return True


def _decays(cursor: Cursor) -> bool:
    """Whether the phase's own `decay=` lowers the rate."""
    given = next((part for part in parts(cursor) if isinstance(part, nodes.Argument) and part.name == "decay"), None)
    return given is not None and not (isinstance(given.value, nodes.Name) and given.value.text == "constant")


def _is_in_tail(cursor: Cursor) -> bool:
    """Whether the phase belongs to a `repeat` without a block."""
    kinds = list(cursor.words)
    last = max((index for index, kind in enumerate(kinds) if kind in ("LBRACE", "_SEPARATOR")), default=-1)
    return "REPEAT" in kinds[last + 1 :]


def value_offers(cursor: Cursor) -> Iterator[Offer]:
    """The values that the argument takes here."""
    row = BY_NAME.get(cursor.argument or "")
    if row is None or not cursor.takes("NUMBER") or cursor.takes("SELECTING"):
        return
    if row.kind == "lr":
        yield from (
            Offer(word, detail=RATE_MEANINGS[word], kind=types.CompletionItemKind.Variable) for word in RATE_WORDS
        )
    if cursor.items and getattr(cursor.items[-1], "kind", "") != "EQUAL":
        return  # after an operator only numbers
    for option in sorted(row.options, key=lambda option: not option.is_supported):
        yield option_offer(row, option)


def option_offer(row: Argument, option: Option) -> Offer:
    """One value of an argument."""
    snippet = snippet_of(option)
    return Offer(
        option.name,
        snippet,
        f"{option.name}(" if snippet else "",
        detail="the default" if option.name == row.default else "",
        page=option_page(row, option),
        kind=types.CompletionItemKind.Function if option.parameters else types.CompletionItemKind.EnumMember,
    )


def snippet_of(option: Option) -> str:
    """An option that needs parameters, as a snippet with the required ones; empty for any other.

    >>> from dsd_lang.base.arguments import BY_NAME
    >>> snippet_of(BY_NAME["clip"].option("norm"))
    'norm(${1:5})'
    """
    required = [parameter for parameter in option.parameters if parameter.is_required]
    written = (
        f"{f'{parameter.name}=' if parameter.is_named else ''}${{{number}:{parameter.example}}}"
        for number, parameter in enumerate(required, start=1)
    )
    return f"{option.name}({', '.join(written)})" if required else ""


def parameter_offers(cursor: Cursor) -> Iterator[Offer]:
    """The named parameters of the function whose parentheses the cursor is in, or the values of one."""
    last = getattr(cursor.items[-1], "kind", "") if cursor.items else "COMMA"
    known = _parameters(cursor)
    if last == "EQUAL" and cursor.named[-1:] and cursor.named[-1] in known:
        parameter = known[cursor.named[-1]]
        words = ("on", "off") if parameter.kind == "switch" else parameter.words
        yield from (Offer(word, kind=types.CompletionItemKind.EnumMember) for word in words)
    if last != "COMMA" or not cursor.takes("NAME"):
        return
    if cursor.call == "step" and not cursor.items:
        return  # its milestones come first
    for name, parameter in known.items():
        if name not in cursor.named:
            text = f"{name}=${{1:{parameter.example}}}"
            kind = types.CompletionItemKind.Property
            yield Offer(f"{name}=", text, detail=f"of `{cursor.call}`", kind=kind, filter_text=name)


def _parameters(cursor: Cursor) -> dict[str, Parameter]:
    """The named parameters of the function whose parentheses are open."""
    if cursor.call == "@":
        return {parameter.name: parameter for parameter in DISTILL_PARAMETERS} if cursor.argument == "distill" else {}
    row = BY_NAME.get(cursor.argument or "")
    option = row.option(cursor.call or "") if row is not None else None
    if option is not None:
        return {parameter.name: parameter for parameter in option.parameters if parameter.is_named}
    function = CONDITION_FUNCTIONS.get(cursor.call or "") if row is None and cursor.items else None
    return {} if function is None else {parameter.name: parameter for parameter in function.parameters}
