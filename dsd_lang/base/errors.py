"""The exception that callers may catch: one sentence that says what is wrong, and a help line."""

from __future__ import annotations


class DsdError(Exception):
    """A mistake of the user, or an input that cannot be read, described in one sentence.

    ``message`` is lower case with the thing in backticks; ``help`` says what to do about it. The command-line tools
    print both without a traceback.
    """

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return self.message if self.help is None else f"{self.message}\n  = help: {self.help}"


def nearest(word: str, candidates: list[str] | tuple[str, ...]) -> str | None:
    """The candidate most similar to ``word`` (for "did you mean"), or None if none is similar."""
    import difflib

    matches = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return matches[0] if matches else None


def internal_error_text(program: str, error: Exception) -> str:
    """What a tool prints about a bug of its own: the traceback, and a line that asks for a report."""
    import traceback

    told = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    trace = "".join(traceback.format_exception(error))
    return f"{trace}{program}: internal error: {told}; please report it with the file\n"
