"""Expands the paths given by the user to `*.dsd` files, without those that git or `exclude` ignores.

`exclude` in `[tool.dsd]` takes `.gitignore` globs, relative to the folder of its `pyproject.toml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import SUFFIX, not_a_file, read_if_file
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.lint.configuration import configuration_in

_LOCK = ".#"  # Emacs creates a broken link with this name while a file is edited
_MOST_STARS_FOR_RE = 2


class _Pattern(NamedTuple):
    """One line of a `.gitignore`: its folder, what it matches (relative to that folder), whether it negates."""

    base: str
    matches: Callable[[str], object]
    is_negated: bool
    is_for_folders: bool


def find_schedules(paths: Iterable[str], *, problems: list[DsdError], excludes_all: bool = False) -> list[str]:
    """The files to read, each once: files given by name always, the `*.dsd` files of a folder unless excluded.

    With ``excludes_all`` files given by name may be excluded too. Paths that do not exist, folders that cannot be read,
    and `*.dsd` paths in a folder that are not files (a pipe, a broken link) are added to ``problems``.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.exists(path):
            help = "give a schedule, or a folder with schedules"
            problems.append(DsdError(f"there is no file or folder `{path}`", help=help))
            continue
        if excludes_all and is_excluded(path):
            continue
        if os.path.isdir(path):
            found.update(dict.fromkeys(_in_folder(path, problems)))
        else:
            found[path] = None
    return list(found)


def is_excluded(path: str) -> bool:
    """Whether git or `[tool.dsd] exclude` ignores a path or a folder above it."""
    target = os.path.abspath(path)
    top = _repository_of(os.path.dirname(target))
    excluded = _excluded_in(os.path.dirname(target))
    rules: list[_Pattern] = []
    for folder in _folders_between(min((top, *(rule.base for rule in excluded)), key=len), target):
        is_folder = folder != target or os.path.isdir(target)
        if _is_ignored(folder, rules, is_folder=is_folder) or _is_ignored(folder, excluded, is_folder=is_folder):
            return True
        if is_folder and (folder == top or folder.startswith(os.path.join(top, ""))):
            rules = rules + _read(folder)
    return False


def matches(glob: str, folder: str, path: str) -> bool:
    """Whether a glob relative to a folder matches a file or a folder above it."""
    pattern = _parse(folder, glob)
    target = os.path.abspath(path)
    parts = _folders_between(folder, target)
    if pattern is None or parts[0] != folder:
        return False
    return any(_is_ignored(part, [pattern], is_folder=part != target) for part in parts)


def _folders_between(top: str, target: str) -> list[str]:
    """The folders from ``folder`` down to a path in it, both included; only the path if it is not in the folder."""
    chain = [target]
    while chain[-1] != top and os.path.dirname(chain[-1]) != chain[-1]:
        chain.append(os.path.dirname(chain[-1]))
    return chain[::-1] if chain[-1] == top else [target]


def _repository_of(folder: str) -> str:
    """The root of the repository that a folder is in; the folder itself if it is in none."""
    target = folder
    while not os.path.exists(os.path.join(target, ".git")):
        if os.path.dirname(target) == target:
            return folder
        target = os.path.dirname(target)
    return target


def _excluded_in(folder: str) -> list[_Pattern]:
    configuration = configuration_in(folder)
    parsed = (_parse(configuration.folder, glob) for glob in configuration.exclude)
    return [pattern for pattern in parsed if pattern is not None]


def _in_folder(top: str, problems: list[DsdError]) -> list[str]:
    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        problems.append(DsdError(f"cannot read the folder `{error.filename}`: {reason}"))

    found: list[str] = []
    patterns = {os.path.abspath(top): _patterns_above(os.path.abspath(top))}
    for folder, children, files in os.walk(top, onerror=refuse):
        here = os.path.abspath(folder)
        rules = patterns.pop(here) + _read(here)
        excluded = _excluded_in(here)
        children[:] = sorted(
            child
            for child in children
            if not child.startswith(".")
            and not _is_ignored(os.path.join(here, child), rules, is_folder=True)
            and not _is_ignored(os.path.join(here, child), excluded, is_folder=True)
        )
        patterns.update({os.path.join(here, child): rules for child in children})
        schedules = [
            os.path.normpath(os.path.join(folder, name))
            for name in sorted(files)
            if name.endswith(SUFFIX)
            and not name.startswith(_LOCK)
            and not _is_ignored(os.path.join(here, name), rules, is_folder=False)
            and not _is_ignored(os.path.join(here, name), excluded, is_folder=False)
        ]
        found += _readable(schedules, problems)
    return found


def _readable(paths: list[str], problems: list[DsdError]) -> Iterator[str]:
    """The paths that are files; the others are added to the problems."""
    for path in paths:
        kind = not_a_file(path)
        if kind is None:
            yield path
        else:
            problems.append(DsdError(f"`{path}` is {kind}, not a file", help="remove it, or exclude it in .gitignore"))


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
        data = read_if_file(os.path.join(folder, ".gitignore"))
    except OSError:
        return []  # unreadable: it ignores nothing
    lines = (data or b"").decode("utf-8", errors="replace").splitlines()
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
    matches = _matcher(prefix + _translated(text.lstrip("/")), num_stars=text.count("*"))
    return None if matches is None else _Pattern(base, matches, is_negated, is_for_folders)


def _matcher(expression: str, *, num_stars: int) -> Callable[[str], object] | None:
    """A function that says whether a path matches; None for an invalid set such as `[z-a]`.

    Such a set matches nothing, as in git. `re` is faster, but its time is not bounded for patterns with many stars.
    """
    if num_stars <= _MOST_STARS_FOR_RE:
        try:
            return re.compile(expression).fullmatch
        except re.error:
            return None
    from dsd_lang.base.patterns import PatternError, regular_expression

    try:
        return regular_expression(expression).fullmatch
    except PatternError:
        return None


def _translated(glob: str) -> str:
    """A gitignore glob as a regular expression: `*` and `?` do not match `/`, `**` does."""
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
    """Whether the last matching pattern ignores the path."""
    for rule in reversed(rules):
        if rule.is_for_folders and not is_folder:
            continue
        relative = os.path.relpath(path, rule.base).replace(os.sep, "/")
        if rule.matches(relative):
            return not rule.is_negated
    return False
