"""Decides whether to use colour, and defines the colours."""

from __future__ import annotations

from collections.abc import Mapping

CODES = {
    "error": "1;31", "warning": "1;33", "advice": "1;36", "frame": "1;34", "strong": "1",
    "added": "32", "removed": "31", "dense": "34", "sparse": "33", "rate": "36",
}  # fmt: skip


def wants_colour(choice: str, environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Evaluates `--color`; for `auto`, a non-empty NO_COLOR overrides FORCE_COLOR, and both override the terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return is_terminal and environment.get("TERM") != "dumb"


def paint(text: str, colour: str, *, is_coloured: bool) -> str:
    """The text in that colour, or unchanged."""
    return f"\033[{CODES[colour]}m{text}\033[0m" if is_coloured and text else text
