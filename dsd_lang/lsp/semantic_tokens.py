"""Semantic tokens: the role of each word, packed as the protocol defines, five numbers per word."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.base.metrics import SPLITS, WITHOUT_SPLIT
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.positions import num_units
from dsd_lang.syntax.terminals import Token

TYPES = (
    "keyword",
    "label",
    "property",
    "enumMember",
    "function",
    "variable",
    "number",
    "string",
    "regexp",
    "operator",
    "comment",
    "class",
    "parameter",
)
MODIFIERS = ("declaration",)
LEGEND = types.SemanticTokensLegend(list(TYPES), list(MODIFIERS))
_BY_KIND = {
    "LABEL": "label", "REFERENCE": "label", "NUMBER": "number", "LENGTH": "number", "STRING": "string",
    "REGEX": "regexp", "ARROW": "operator", "COMPARATOR": "operator", "PLUS": "operator", "MINUS": "operator",
    "STAR": "operator", "SLASH": "operator", "CARET": "operator", "SELECTING": "property",
    "DOTS": "operator", "CALLED": "function", "ARM": "variable",
}  # fmt: skip
_OPTIONS = frozenset(option.name for row in BY_NAME.values() for option in row.options)
_VALUES = {"let": "variable", "variable": "variable", "parameter": "parameter"}
Role = tuple[Span, str]


def semantic_tokens(document: Document, params: types.SemanticTokensParams) -> types.SemanticTokens:
    """The tokens of the whole document."""
    return types.SemanticTokens(_packed(document, list(roles(document))), result_id=f"{document.version}")


def semantic_tokens_in_range(document: Document, params: types.SemanticTokensRangeParams) -> types.SemanticTokens:
    """The tokens of the lines of a range."""
    first, last = params.range.start.line + 1, params.range.end.line + 1
    return types.SemanticTokens(_packed(document, [role for role in roles(document) if first <= role[0].line <= last]))


def roles(document: Document) -> Iterator[Role]:
    """Each word and comment with its role, in source order; brackets, commas and line ends have none."""
    tokens = [token for token in document.tokens.tokens if token.text]
    named = _names(document)
    found = [
        (token.span, role)
        for index, token in enumerate(tokens)
        if (role := named.get(token.span.start) or _role(tokens, index))
    ]
    found += [(comment.span, "comment") for comment in document.tokens.comments]
    yield from sorted(found, key=lambda role: role[0].start)


def _names(document: Document) -> dict[int, str]:
    """The roles of `let`s, variables and parameters, by offset."""
    labels = document.labels
    placed = [*((item, item.span) for item in labels.definitions), *((use.definition, use.span) for use in labels.uses)]
    return {span.start: _VALUES[item.kind] for item, span in placed if item.kind in _VALUES}


def _role(tokens: list[Token], index: int) -> str | None:
    token = tokens[index]
    if token.kind in ("NAME", "DOTTED"):
        return _role_of_name(token, tokens[index + 1].kind if index + 1 < len(tokens) else "")
    if token.kind in _BY_KIND:
        return _BY_KIND[token.kind]
    return "keyword" if token.text.isalpha() and token.kind == token.text.upper() else None


def _role_of_name(token: Token, following: str) -> str:
    if following == "EQUAL":
        return "property"
    if following == "LPAR":
        return "function"
    first = token.text.partition(".")[0]
    if first in KINDS or first in ROLES:
        return "class"
    if token.text in WITHOUT_SPLIT or first in SPLITS or token.text in CONDITION_FUNCTIONS:
        return "function"
    return "enumMember" if token.text in _OPTIONS else "variable"


def _packed(document: Document, found: list[Role]) -> list[int]:
    """Line and character relative to the previous word, length, role, modifiers."""
    data: list[int] = []
    line = character = 0
    declared = {item.span.start for item in document.labels.definitions if item.kind in ("let", "parameter", "def")}
    for span, role in found:
        position = document.positions.position(span.start)
        if position.line != line:
            character = 0
        length = num_units(document.text[span.start : span.end], document.client.encoding)
        is_declaration = (role == "label" and document.text[span.start] != "@") or span.start in declared
        data += (position.line - line, position.character - character, length, TYPES.index(role), int(is_declaration))
        line, character = position.line, position.character
    return data
