"""Completion items for what a schedule defines: calls of `def`s, their parameters, and the files of `use`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import SUFFIX
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.lsp.definitions import Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.markdown import literal
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.signatures import doc_comment, parameter_texts, signature
from dsd_lang.lsp.word import Word
from dsd_lang.syntax import nodes

MAX_LISTED = 500
_USE = re.compile(r"(?:^|;)[ \t]*use[ \t]*(?P<quote>[\"'])(?P<path>[^\"'\r\n]*)$")
_REST = re.compile(r"[^\"'\r\n/\\]*")


def call_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """The `def`s that can be called, where a statement may begin."""
    if not cursor.takes("CALLED"):
        return
    for definition in document.labels.calls_at(word.start):
        node, home = definition.node, _home(document, definition)
        if isinstance(node, nodes.Def) and home is not None:
            required = [item.name.text for item in node.parameters if item.default is None]
            inside = ", ".join(f"{name}=${{{number}:{name}}}" for number, name in enumerate(required, start=1))
            yield Offer(
                definition.name,
                f"{definition.name}({inside})",
                f"{definition.name}(",
                detail=signature(home, node),
                page=literal(doc_comment(home, node)),
                kind=types.CompletionItemKind.Function,
            )


def given_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """The parameters of a call that are not given yet."""
    called = next((item for item in document.labels.calls_at(word.start) if item.name == cursor.call), None)
    home = None if called is None else _home(document, called)
    if called is None or home is None or not isinstance(called.node, nodes.Def) or not cursor.takes("SELECTING"):
        return
    positional = sum(isinstance(item, nodes.GivenValue) and item.name is None for item in cursor.items)
    texts = parameter_texts(home, called.node)
    for index, (parameter, text) in enumerate(zip(called.node.parameters, texts, strict=True)):
        name = parameter.name.text
        if index < positional or name in cursor.named:
            continue
        start = text.partition("=")[2].strip() if parameter.default is not None else name
        yield Offer(
            f"{name}=",
            f"{name}=${{1:{start}}}" if not re.search(r"[{}|$]", start) else f"{name}=",
            detail=f"of {signature(home, called.node)}",
            page="" if parameter.default is None else f"by default {literal(start)}",
            kind=types.CompletionItemKind.Property,
            filter_text=name,
        )


def _home(document: Document, definition: Definition) -> Document | None:
    try:
        return document.other(definition.file) if definition.file else document
    except DsdError:
        return None  # a diagnostic says so


def used_file_offers(document: Document, offset: int) -> tuple[Word, list[Offer]] | None:
    """The folders and schedules that the path of a `use` may continue with; None outside of such a path."""
    start = max(document.text.rfind(end, 0, offset) for end in "\r\n") + 1
    found = _USE.search(document.text[start:offset])
    if found is None:
        return None
    folder, _, typed = found["path"].rpartition("/")
    rest = _REST.match(document.text, offset)
    end = rest.end() if rest is not None else offset
    word = Word(offset - len(typed), end, typed, "", document.text[end : end + 1])
    return word, list(_entries(document, f"{folder}/" if folder or found["path"].startswith("/") else ""))


def _entries(document: Document, folder: str) -> Iterator[Offer]:
    try:
        with os.scandir(document.path_from(folder or ".")) as listed:
            entries = sorted((item.name, item.is_dir()) for item, _ in zip(listed, range(MAX_LISTED), strict=False))
    except (OSError, ValueError, DsdError):
        return  # no such folder: nothing to offer
    own = os.path.basename(document.path or "")
    for name, is_folder in entries:
        if is_folder and not name.startswith("."):
            yield Offer(f"{name}/", kind=types.CompletionItemKind.Folder)
        elif name.endswith(SUFFIX) and (folder or name != own):
            yield Offer(name, kind=types.CompletionItemKind.File)
