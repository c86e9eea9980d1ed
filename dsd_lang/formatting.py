"""Text in, canonical text out, the three laws of formatting proven for this very text.

Same plan hash, stable under a second pass, no comment lost. A text that is canonical already needs no proof; for any
other one the schedule is compiled before and after. A law that does not hold is a bug of ours: nothing is handed out.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dsd_lang.diagnostics import Diagnostic


class Formatted(NamedTuple):
    """``text`` in canonical form; ``exposed`` are findings that a comment silenced before and no longer does."""

    text: str
    is_changed: bool
    exposed: tuple[Diagnostic, ...] = ()


class LawBrokenError(Exception):
    """Formatting this text would have changed its meaning or lost a comment: a bug of the formatter."""


def formatted(text: str) -> Formatted:
    """The canonical text of a schedule, with proof; raises :class:`dsd_lang.errors.DsdError` for syntax errors.

    >>> formatted("dense 5ep; sparse .5").text
    'dense 5ep\\nsparse 50%\\n'
    """
    from dsd_lang.syntax.formatter import format_text

    result = format_text(text)
    if result == text:
        return Formatted(text, is_changed=False)
    if format_text(result) != result:
        raise LawBrokenError("a second pass would change the formatted text again")
    if _comments(result) != _comments(text):
        raise LawBrokenError("formatting would lose a comment")
    before, after = _meaning(text), _meaning(result)
    if before != after:
        raise LawBrokenError(f"formatting would change the meaning from {before} to {after}")
    return Formatted(result, is_changed=True, exposed=_exposed(text, result))


def _comments(text: str) -> Counter[str]:
    from dsd_lang.syntax.parser import parse

    return Counter(comment.text.rstrip() for comment in parse(text).program.comments)


def _meaning(text: str) -> str:
    """The plan's hash; for a schedule with errors, their codes."""
    from dsd_lang.analysis import analyse
    from dsd_lang.compiler import plan_of

    analysis = analyse(text)
    if analysis.resolved is None:
        return ", ".join(sorted(finding.code for finding in analysis.errors))
    return plan_of(analysis.resolved).hash


def _exposed(before: str, after: str) -> tuple[Diagnostic, ...]:
    """Findings of the new text that the old one silenced: a comment covers one line, and lines may have been split."""
    if "dsd:" not in before:
        return ()
    known = Counter(finding.code for finding in _findings(before))
    return tuple(finding for finding in _findings(after) if _is_one_more(known, finding.code))


def _is_one_more(known: Counter[str], code: str) -> bool:
    known[code] -= 1
    return known[code] < 0


def _findings(text: str) -> tuple[Diagnostic, ...]:
    from dsd_lang.checking import check_text
    from dsd_lang.selection import DEFAULT

    return check_text(text, selected=DEFAULT)
