"""Shared by the command-line tools: finding files, reading and writing them, colour."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import MAX_BYTES, checked_size, read_limited, unreadable
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import decode_text
from dsd_lang.base.streams import say, say_error, write_to_stream


class FoundFiles(NamedTuple):
    """The files that a command line names, and the paths that cannot be read."""

    paths: list[str]
    problems: list[DsdError]


def schedule_paths(
    words: Sequence[str], *, program: str, excludes_all: bool = False, knows_bundled: bool = False
) -> FoundFiles:
    """The files that a command line names (`-` is stdin, no path the current folder); a note if there are none.

    With ``knows_bundled`` a name that no file has may be that of a bundled schedule.
    """
    from dsd_lang.lint.project import find_schedules

    if "-" in words:
        if len(words) > 1:
            raise DsdError("`-` (stdin) cannot be mixed with other paths")
        return FoundFiles(["-"], [])
    problems: list[DsdError] = []
    if knows_bundled:
        words = [word if os.path.exists(word) else _bundled(word) for word in words]
    found = find_schedules(words or ["."], excludes_all=excludes_all, problems=problems)
    if not found and not problems and not excludes_all:
        say(f"{program}: no `*.dsd` files under {', '.join(f'`{path}`' for path in words or ['.'])}\n")
    return FoundFiles(found, problems)


def _bundled(word: str) -> str:
    """The path of the bundled schedule of that name; the word itself if there is none."""
    from dsd_lang.base.bundled import bundled_schedules, may_be_bundled

    return str(bundled_schedules().get(word, word)) if may_be_bundled(word) else word


def is_coloured(choice: str | None, *, is_terminal: bool) -> bool:
    """Whether the output is coloured; ``choice`` is the value of `--color`, if given."""
    from dsd_lang.report.colour import wants_colour

    return wants_colour(choice or "auto", os.environ, is_terminal=is_terminal)


def read_source(path: str) -> tuple[str, list[Diagnostic]]:
    """The text of a file, or of stdin for `-`, and a diagnostic for invalid bytes; raises :class:`DsdError`."""
    return decode_text(read_stdin() if path == "-" else read_limited(path))


def read_stdin() -> bytes:
    """Reads stdin, up to 10 MB."""
    try:
        return checked_size(sys.stdin.buffer.read(MAX_BYTES + 1), "stdin")
    except OSError as error:
        raise unreadable("stdin", error) from error


def write_output(text: str, path: str | None, *, is_aside: bool = False) -> None:
    """Writes to the file, or to stdout (stderr for messages).

    Characters that cannot be shown are written as escapes.
    """
    if path is not None:
        try:
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise DsdError(f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from error
        return
    stream = sys.stderr if is_aside else sys.stdout
    write_to_stream(stream, text, "stderr" if is_aside else "stdout")


def say_problems(problems: Sequence[DsdError], program: str) -> int:
    """Prints a sentence for every file that could not be read or written; returns the exit status."""
    for problem in problems:
        say_error(problem, program)
    return 2 if problems else 0
