"""Renders a unified diff of two texts of a file: additions green, removals red."""

from __future__ import annotations

from dsd_lang.report.colour import CODES, paint

_COLOURS = {"+": "added", "-": "removed", "@": "frame"}


def unified_diff(name: str, before: str, after: str, *, is_coloured: bool = False) -> str:
    """The diff in the format of `patch` and `git apply`; empty for equal texts."""
    import difflib

    lines = difflib.unified_diff(_lines(before), _lines(after), fromfile=f"a/{name}", tofile=f"b/{name}")
    return "".join(_shown(line, is_coloured=is_coloured) for line in lines)


def _lines(text: str) -> list[str]:
    """The lines with their line endings; only `\\n` ends a line, as for `patch` and git."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def _shown(line: str, *, is_coloured: bool) -> str:
    """A line of the diff, with a marker if the file's last line had no line ending."""
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    colour = "strong" if line.startswith(("+++", "---")) else _COLOURS.get(line[:1], "")
    shown = paint(body, colour, is_coloured=is_coloured) if colour in CODES else body
    return shown + (end or "\n\\ No newline at end of file\n")
