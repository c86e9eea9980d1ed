"""What the tools of the language share on their command line: the files meant, reading and writing, colour."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import decode


def schedule_paths(words: Sequence[str], *, program: str, excludes_all: bool = False) -> list[str]:
    """The files that a command line means (`-` alone is stdin; nothing is the folder here); a note where it is none."""
    from dsd_lang.lint.project import find_schedules

    if "-" in words:
        if len(words) > 1:
            raise DsdError("`-` (stdin) cannot be mixed with other paths")
        return ["-"]
    found = find_schedules(words or ["."], excludes_all=excludes_all)
    if not found and not excludes_all:
        sys.stderr.write(f"{program}: no `*.dsd` files under {', '.join(f'`{path}`' for path in words or ['.'])}\n")
    return found


def is_coloured(choice: str | None, *, is_terminal: bool) -> bool:
    """Whether the output is coloured; ``choice`` is what `--color` says, if anything."""
    from dsd_lang.report.colour import wants_colour

    return wants_colour(choice or "auto", os.environ, is_terminal=is_terminal)


def read_source(path: str) -> tuple[str, list[Diagnostic]]:
    """The text of a file, or of stdin for `-`, and what was wrong with its bytes; raises :class:`DsdError`."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except OSError as error:
        raise DsdError(f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from error
    return decode(data)


def write_output(text: str, path: str | None, *, is_aside: bool = False) -> None:
    """To the file, or to stdout (stderr for what is said aside); what cannot be shown there is written as an escape."""
    if path is not None:
        try:
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise DsdError(f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from error
        return
    stream = sys.stderr if is_aside else sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
    stream.flush()


def say_error(error: DsdError, program: str) -> None:
    """One sentence on stderr, and what to do."""
    sys.stderr.write(f"{program}: {error.message}\n")
    if error.help:
        sys.stderr.write(f"  = help: {error.help}\n")
