"""What the tools of the language share on their command line: rule selection, and reading a file or stdin."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dsd_lang.diagnostics import CATALOGUE, Diagnostic
from dsd_lang.errors import DsdError, nearest
from dsd_lang.source import decode


def selected_codes(select: Sequence[str] | None, ignore: Sequence[str], extend_select: Sequence[str]) -> frozenset[str]:
    """The codes to look for: the default ones (or those of ``select``), plus ``extend_select``, minus ``ignore``.

    Each item is a code, the beginning of codes (`DSD3`), the name of a rule, or `ALL`; raises :class:`DsdError` for any
    other word.
    """
    default = [entry.code for entry in CATALOGUE.values() if entry.default]
    chosen = set(default if select is None else _codes(select)) | set(_codes(extend_select))
    return frozenset(chosen - set(_codes(ignore)))


def _codes(items: Sequence[str]) -> list[str]:
    return [code for item in items for word in item.split(",") if word.strip() for code in _codes_of(word.strip())]


def _codes_of(word: str) -> list[str]:
    if word.upper() == "ALL":
        return list(CATALOGUE)
    found = [entry.code for entry in CATALOGUE.values() if entry.name == word]
    found = found or [code for code in CATALOGUE if word.upper().startswith("DSD") and code.startswith(word.upper())]
    if not found:
        guess = nearest(word, [*CATALOGUE, *(entry.name for entry in CATALOGUE.values())])
        raise DsdError(
            f"there is no rule `{word}`",
            help=f"did you mean `{guess}`?" if guess else "rules are selected by code, by its beginning or by name",
        )
    return found


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


def write_output(text: str, path: str | None) -> None:
    """To the file, or to stdout; what a terminal cannot show is written as an escape."""
    if path is not None:
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise DsdError(f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from error
        return
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
    sys.stdout.flush()


def say_error(error: DsdError, program: str) -> None:
    """One sentence on stderr, and what to do."""
    sys.stderr.write(f"{program}: {error.message}\n")
    if error.help:
        sys.stderr.write(f"  = help: {error.help}\n")
