"""Completion items for statements and for keywords inside them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lsprotocol import types

from dsd_lang.editors.snippets import snippets
from dsd_lang.editors.vocabulary import vocabulary
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.meanings import KEYWORDS
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.phase_parts import has_target, is_condition, parts
from dsd_lang.lsp.word import Word
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import SOFT_WORDS, STATEMENT_WORDS, Token

_BRANCH = Offer(
    "branch",
    "${1:name}: {\n  ${2:dense 5ep}\n}",
    "name: {",
    "a branch of the fork",
    kind=types.CompletionItemKind.Snippet,
)
_STATEMENTS = STATEMENT_WORDS | frozenset(SOFT_WORDS.values())
_AT_TOP = ("SET", "DEF", "USE")  # not in blocks
_PHASES = {"DENSE": "dense ${1:50ep}", "SPARSE": "sparse ${1:50%} ${2:50ep}"}
_SETTINGS = ("lr=0.1", "seed=0", "wd=1e-4", "batch=128", "decay=cosine")
_CONNECTIVES = {
    "THEN": "then dense ${1:lr=6e-6}",
    "UNTIL": "until ${1:plateau(val.loss, patience=3)}",
    "AS": "as ${1:i}",
    "IN": "in ${1:25%, 50%}",
    "VS": "",
    "BY": "by ${1:10%}",
}


def statement_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """The statements that may begin here, the phase that follows a label or `repeat`, or a branch."""
    if cursor.takes("LABEL") and not cursor.takes("SET"):
        yield _BRANCH
        return
    for keyword in KEYWORDS:
        kind = keyword.upper()
        if kind not in cursor.accepted & _STATEMENTS or (kind in _AT_TOP and "LBRACE" in cursor.words):
            continue
        has_body = cursor.takes("SET") or kind in ("SWEEP", "WITHIN")
        body = _body(document, kind, word) if has_body else _PHASES.get(kind, "")
        if body is not None:
            yield _keyword(keyword, body)


def _body(document: Document, kind: str, word: Word) -> str | None:
    """A statement's snippet filled with names from the document; None if it has none to fill in."""
    branches = [item.name for item in document.labels.arms_at(word.start) if item.kind == "branch"]
    if kind == "SET":
        given = document.labels.settings
        setting = next((item for item in _SETTINGS if item.partition("=")[0] not in given), "")
        return f"set ${{1:{setting}}}" if setting else ""
    if kind == "COMPARE":
        first, second, *_ = [*branches, "", ""]
        return f"compare ${{1:{second}}} vs ${{2:{first}}} on=${{3:test.err}}" if second else None
    if kind == "EXPECT" and len(branches) < 2:
        return "expect ${1:test.err} < ${2:10%}"
    if kind == "EXPECT":
        return f"expect ${{1:{branches[1]}}}.test.err < ${{2:{branches[0]}}}.test.err"
    return _bodies().get(kind.lower(), "")


@cache
def _bodies() -> dict[str, str]:
    """The snippet of each statement, by its keyword."""
    return {snippet.prefix: "\n".join(snippet.body) for snippet in snippets(vocabulary())}


def connective_offers(cursor: Cursor) -> Iterator[Offer]:
    """The words that continue a statement: `in`, `vs`, `then`, `until`, `held`, `and`, ..."""
    is_whole = cursor.clause is None or is_condition(cursor.clause)
    for kind, snippet in _CONNECTIVES.items():
        if kind in cursor.accepted and is_whole and not (kind == "UNTIL" and _has_until(cursor)):
            yield _keyword(kind.lower(), snippet)
    if cursor.takes("HELD") and cursor.statement == "SPARSE" and not has_target(cursor) and is_whole:
        yield _keyword("held", "")
    if cursor.clause is not None and cursor.takes("AND") and is_whole:
        yield from (_keyword(word, "") for word in ("and", "or"))
    if cursor.clause == () and cursor.takes("NOT"):
        yield _keyword("not", "")


def _has_until(cursor: Cursor) -> bool:
    return any(
        isinstance(part, nodes.Until) or (isinstance(part, Token) and part.kind == "UNTIL") for part in parts(cursor)
    )


def _keyword(word: str, snippet: str) -> Offer:
    form, meaning = KEYWORDS[word]
    return Offer(word, snippet, detail=form, page=meaning)
