"""Completion at a position: only words that the grammar accepts there and the language defines."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.lsp.cursor import Cursor, cursor_of
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.offers_arguments import argument_offers, parameter_offers, value_offers
from dsd_lang.lsp.offers_calls import call_offers, given_offers, used_file_offers
from dsd_lang.lsp.offers_names import condition_offers, reference_offers, selector_offers
from dsd_lang.lsp.offers_statements import connective_offers, statement_offers
from dsd_lang.lsp.offers_values import named_selector_offers, variable_offers
from dsd_lang.lsp.word import Word, comment_at, is_in_token, word_at
from dsd_lang.syntax.expectation import expected_at

TRIGGERS = ("@", ".", "=", ",", "(", "[", '"', "/")


def completion(document: Document, params: types.CompletionParams) -> types.CompletionList:
    """The completions, most likely first."""
    offset = document.offset(params.position)
    word = word_at(document.text, offset)
    in_path = None if comment_at(document.tokens, offset) is not None else used_file_offers(document, offset)
    if in_path is not None:
        word, offers = in_path
    else:
        offers = offers_at(document, offset, word)
    found = [_item(document, word, offer, index) for index, offer in enumerate(offers)]
    return types.CompletionList(is_incomplete=False, items=found)


def offers_at(document: Document, offset: int, word: Word) -> list[Offer]:
    """The completions at an offset; none inside a number or a string."""
    comment = comment_at(document.tokens, offset)
    if comment is not None:
        return _codes(comment.text[: offset - comment.span.start])
    if word.typed[:1].isdecimal() or word.typed.startswith(".") or word.previous == "%":
        return []
    if is_in_token(document.tokens, word.start) or document.tokens.stopped:
        return []
    expectation = expected_at(document.tokens, word.start)
    if expectation is None:
        return []
    unique = {offer.label: offer for offer in reversed(list(_offers(document, cursor_of(expectation), word)))}
    return [unique[label] for label in reversed(unique)]


def _offers(document: Document, cursor: Cursor, word: Word) -> Iterable[Offer]:
    """Chooses by what the grammar accepts: references, statements, selectors, arguments, values."""
    if word.typed.startswith("@"):
        yield from reference_offers(document, cursor, word)
        return
    if cursor.takes("REGEX") and not cursor.takes("NUMBER"):
        yield from named_selector_offers(document, word)
        yield from selector_offers(document, cursor)
        return
    if cursor.statement == "CALLED":
        yield from given_offers(document, cursor, word)
    elif cursor.call is None:
        yield from connective_offers(cursor)
        yield from call_offers(document, cursor, word)
        yield from statement_offers(document, cursor, word)
        yield from argument_offers(document, cursor)
        yield from value_offers(cursor)
    else:
        yield from parameter_offers(cursor)
    yield from condition_offers(document, cursor, word)
    yield from variable_offers(document, cursor, word)
    if cursor.takes("REGEX") and cursor.statement in ("LET", "DEF", "FOR", "SWEEP", "CALLED"):
        yield from selector_offers(document, cursor)


def _codes(typed: str) -> list[Offer]:
    """The codes for `# dsd: ignore[`."""
    _, opens, given = typed.rpartition("ignore[")
    if not opens or "]" in given or "dsd:" not in typed:
        return []
    return [
        Offer(entry.code, detail=entry.name, kind=types.CompletionItemKind.Constant)
        for entry in CATALOGUE.values()
        if entry.code not in given
    ]


def _item(document: Document, word: Word, offer: Offer, index: int) -> types.CompletionItem:
    """A completion item that replaces the whole word."""
    text, is_snippet = offer.text_before(word.following, has_snippets=document.client.has_snippets)
    return types.CompletionItem(
        label=offer.label,
        kind=offer.kind,
        detail=offer.detail or None,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, offer.page) if offer.page else None,
        sort_text=f"{index:04}",
        filter_text=offer.filter_text or offer.label,
        text_edit=types.TextEdit(document.range(word.start, word.end), text),
        insert_text_format=types.InsertTextFormat.Snippet if is_snippet else types.InsertTextFormat.PlainText,
    )
