"""The files that documents use: the text of an open document where there is one, else of the file on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pygls.uris import to_fs_path

from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import read_schedule
from dsd_lang.lint.project import find_schedules

if TYPE_CHECKING:
    from dsd_lang.lsp.documents import Document


class Files:
    """Reads files by their absolute paths; ``changed`` has texts that take precedence over all."""

    def __init__(
        self,
        opened: Callable[[], Iterable[Document]] = tuple,
        changed: Mapping[str, str] | None = None,
        folders: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._opened = opened
        self._folders = folders
        self._changed = changed or {}
        self._kept: dict[str, Document] = {}  # of files that are not open

    def text(self, path: str) -> str:
        """The text of a file; raises :class:`DsdError` if it cannot be read."""
        if path in self._changed:
            return self._changed[path]
        opened = self._open_document(path)
        if opened is not None:
            return opened.text
        if os.path.lexists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            raise DsdError(f"`{path}` is not a regular file")  # reading a pipe could block
        return read_schedule(path)

    def document(self, path: str, make: Callable[[str], Document]) -> Document:
        """The document of a file, which ``make`` makes of its text if it is not open or kept."""
        opened = None if path in self._changed else self._open_document(path)
        if opened is not None:
            return opened
        text = self.text(path)
        kept = self._kept.get(path)
        if kept is None or kept.text != text:
            kept = self._kept[path] = make(text)
        return kept

    def opened(self) -> tuple[Document, ...]:
        """The open documents."""
        return tuple(self._opened())

    def with_texts(self, changed: Mapping[str, str]) -> Files:
        """The same files, some with other texts."""
        return Files(self._opened, {**self._changed, **changed}, self._folders)

    def naming(self, path: str) -> list[str]:
        """The schedules in the editor's folders, open or not, whose text has the name of a file."""
        name = os.path.basename(path)
        found = [os.path.abspath(one) for one in find_schedules(self._folders(), problems=[])]
        return [one for one in found if name in self._text_or_nothing(one)]

    def _text_or_nothing(self, path: str) -> str:
        try:
            return self.text(path)
        except DsdError:
            return ""  # it cannot be read, so it uses nothing; `dsd-lint` says so

    def _open_document(self, path: str) -> Document | None:
        return next((item for item in self._opened() if item.path == path), None)


def path_of_uri(uri: str) -> str | None:
    """The path of a `file:` address; None for a document that is not saved."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return None if path is None else os.path.normpath(path)


def absolute(name: str, folder: str | None) -> str:
    """The path of a file that a document in ``folder`` names; raises :class:`DsdError` if it has no folder yet."""
    if folder is None and not os.path.isabs(name):
        raise DsdError(f"`{name}` is relative to a schedule that is not saved yet", help="save the schedule first")
    return os.path.normpath(os.path.join(folder or "", name))
