"""Paths as the user gave them in, the files to read out: `*.dsd` in folders, whatever `.gitignore` leaves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from dsd_lang.errors import DsdError

SUFFIX = ".dsd"


class _Pattern(NamedTuple):
    """One line of a `.gitignore`: where it stands, what it matches (paths relative to there), what it says."""

    base: str
    expression: re.Pattern[str]
    is_negated: bool
    is_for_folders: bool


def find_schedules(paths: Iterable[str]) -> list[str]:
    """The files to read, each once: a file given by hand always, a folder's `*.dsd` unless git ignores them.

    Raises :class:`DsdError` for a path that does not exist.
    """
    found: dict[str, None] = {}
    for path in paths:
        if os.path.isdir(path):
            found.update(dict.fromkeys(_in_folder(path)))
        elif os.path.exists(path):
            found[path] = None
        else:
            raise DsdError(f"there is no file or folder `{path}`", help="give a schedule, or a folder that holds some")
    return list(found)


def _in_folder(top: str) -> list[str]:
    found: list[str] = []
    patterns = {os.path.abspath(top): _patterns_above(os.path.abspath(top))}
    for folder, children, files in os.walk(top):
        here = os.path.abspath(folder)
        rules = patterns.pop(here) + _read(here)
        children[:] = sorted(
            child
            for child in children
            if not child.startswith(".") and not _is_ignored(os.path.join(here, child), rules, is_folder=True)
        )
        patterns.update({os.path.join(here, child): rules for child in children})
        found += [
            os.path.normpath(os.path.join(folder, name))
            for name in sorted(files)
            if name.endswith(SUFFIX) and not _is_ignored(os.path.join(here, name), rules, is_folder=False)
        ]
    return found


def _patterns_above(folder: str) -> list[_Pattern]:
    """The patterns of the folders from the repository's root down to the parent of this one."""
    chain: list[str] = []
    while True:
        chain.append(folder)
        if os.path.exists(os.path.join(folder, ".git")):
            return [pattern for above in reversed(chain[1:]) for pattern in _read(above)]
        parent = os.path.dirname(folder)
        if parent == folder:
            return []
        folder = parent


def _read(folder: str) -> list[_Pattern]:
    try:
        with open(os.path.join(folder, ".gitignore"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []  # no such file, or none that can be read: nothing is ignored by it
    return [pattern for line in lines if (pattern := _parse(folder, line)) is not None]


def _parse(base: str, line: str) -> _Pattern | None:
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None
    is_negated = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    is_for_folders = text.endswith("/")
    text = text.rstrip("/")
    prefix = "" if "/" in text else "(?:.*/)?"
    try:
        return _Pattern(base, re.compile(prefix + _translated(text.lstrip("/"))), is_negated, is_for_folders)
    except re.error:
        return None  # a broken set such as `[z-a]` matches nothing, as in git


def _translated(glob: str) -> str:
    """A gitignore glob as a regular expression: `*` and `?` stay within a folder's name, `**` does not."""
    pieces: list[str] = []
    for piece in re.findall(r"/\*\*/|\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^\]]+\]|\\.|.", glob):
        known = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece)
        if known is not None:
            pieces.append(known)
        elif piece.startswith("["):
            pieces.append(piece.replace("[!", "[^", 1))
        else:
            pieces.append(re.escape(piece[-1]))
    return "".join(pieces)


def _is_ignored(path: str, rules: list[_Pattern], *, is_folder: bool) -> bool:
    """Whether the last pattern that matches says so."""
    for rule in reversed(rules):
        if rule.is_for_folders and not is_folder:
            continue
        relative = os.path.relpath(path, rule.base).replace(os.sep, "/")
        if rule.expression.fullmatch(relative):
            return not rule.is_negated
    return False
