"""One editor session for the tests of a file: starting a server takes longer than most of its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("pygls", reason="the language server needs pygls: pip install 'dsd-lang[lsp]'")

from lsp_editor import Editor, session


@pytest.fixture(scope="module")
def shared_editor() -> Iterator[Editor]:
    """A running session."""
    with session() as editor:
        yield editor


@pytest.fixture
def editor(shared_editor: Editor) -> Iterator[Editor]:
    """The running session, with nothing open in it, before and after."""
    shared_editor.published.clear()
    shared_editor.shown.clear()
    yield shared_editor
    for uri in sorted(shared_editor.opened):
        shared_editor.close(uri=uri)
