"""Text in, canonical text out, the three laws of formatting proven for this very text.

Same plan hash, stable under a second pass, no comment lost. A text that is canonical already needs no proof; for any
other one the schedule is compiled before and after. A law that does not hold is a bug of ours: nothing is handed out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dsd_lang.base.diagnostics import Diagnostic

if TYPE_CHECKING:
    from dsd_lang.analysis import Analysis


class Formatted(NamedTuple):
    """``text`` in canonical form; ``exposed`` are findings that a comment silenced before and no longer does."""

    text: str
    is_changed: bool
    exposed: tuple[Diagnostic, ...] = ()


class LawBrokenError(Exception):
    """Formatting this text would have changed its meaning or lost a comment: a bug of the formatter."""


def formatted(text: str, *, analysis: Analysis | None = None) -> Formatted:
    """The canonical text of a schedule, with proof; raises :class:`dsd_lang.base.errors.DsdError` for syntax errors.

    ``analysis`` is that of the text without a model, where the caller has it already.

    >>> formatted("dense 5ep; sparse .5").text
    'dense 5ep\\nsparse 50%\\n'
    """
    from dsd_lang.syntax.formatter import format_text

    result = format_text(text)
    if result == text:
        return Formatted(text, is_changed=False)
    if format_text(result) != result:
        raise LawBrokenError("a second pass would change the formatted text again")
    from dsd_lang.analysis import analyse

    before, after = analysis or analyse(text), analyse(result)
    if _comments(before) != _comments(after):
        raise LawBrokenError("formatting would lose a comment")
    old, new = _meaning(before), _meaning(after)
    if old != new:
        raise LawBrokenError(f"formatting would change the meaning from {old} to {new}")
    return Formatted(result, is_changed=True, exposed=_exposed(text, before, result, after))


def _comments(analysis: Analysis) -> Counter[str]:
    return Counter(comment.text.rstrip() for comment in analysis.program.comments)


def _meaning(analysis: Analysis) -> str:
    """The plan's hash; for a schedule with errors, their codes."""
    from dsd_lang.compiler import plan_of

    if analysis.resolved is None:
        return ", ".join(sorted(finding.code for finding in analysis.errors))
    return plan_of(analysis.resolved).hash


def _exposed(text: str, before: Analysis, result: str, after: Analysis) -> tuple[Diagnostic, ...]:
    """Findings of the new text that the old one silenced: a comment covers one line, and lines may have been split."""
    if "dsd:" not in text:
        return ()
    from dsd_lang.lint.checking import check_analysis
    from dsd_lang.lint.selection import DEFAULT

    known = Counter(finding.code for finding in check_analysis(text, before, selected=DEFAULT))
    found = check_analysis(result, after, selected=DEFAULT)
    return tuple(finding for finding in found if _is_one_more(known, finding.code))


def _is_one_more(known: Counter[str], code: str) -> bool:
    known[code] -= 1
    return known[code] < 0
