"""Formats a schedule and proves for this very text that plan and comments are unchanged.

Same plan hash, stable under a second pass, no comment lost, the same suppressed as before. A text that is canonical
already needs no proof; for any other one the schedule is compiled before and after. A law that does not hold is a bug
of ours: nothing is handed out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dsd_lang.base.diagnostics import CATALOGUE

if TYPE_CHECKING:
    from dsd_lang.analysis import Analysis


class Formatted(NamedTuple):
    """``text`` in canonical form."""

    text: str
    is_changed: bool


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
        raise LawBrokenError("formatting the result again would change it")
    if "dsd:" not in text and _is_only_laid_out_anew(text, result):
        return Formatted(result, is_changed=True)
    from dsd_lang.analysis import analyse

    before, after = analysis or analyse(text), analyse(result)
    if _comments(before) != _comments(after):
        raise LawBrokenError("formatting would lose a comment")
    old, new = _meaning(before), _meaning(after)
    if old != new:
        raise LawBrokenError(f"formatting would change the meaning from {old} to {new}")
    if "dsd:" in text and _told(text, before) != _told(result, after):
        raise LawBrokenError("formatting would change what a suppression silences")
    return Formatted(result, is_changed=True)


def _is_only_laid_out_anew(text: str, result: str) -> bool:
    """Whether both texts have one tree and the same comments: then they mean the same, and need not be expanded."""
    from dsd_lang.syntax.bare_tree import bare
    from dsd_lang.syntax.parser import parse

    old, new = parse(text).program, parse(result).program
    if Counter(item.text.rstrip() for item in old.comments) != Counter(item.text.rstrip() for item in new.comments):
        return False
    try:
        return bare(old.statements) == bare(new.statements)
    except RecursionError:  # too deep to compare: the plans are
        return False


def _comments(analysis: Analysis) -> Counter[str]:
    return Counter(comment.text.rstrip() for comment in analysis.program.comments)


def _meaning(analysis: Analysis) -> str:
    """The plan's hash; for a schedule with errors, their codes."""
    from dsd_lang.compiler import plan_of

    if analysis.resolved is None:
        return ", ".join(sorted(finding.code for finding in analysis.errors))
    return plan_of(analysis.resolved).hash


def _told(text: str, analysis: Analysis) -> Counter[str]:
    """What a linter tells of a text with every rule on, how it is written left out."""
    from dsd_lang.lint.checking import check_analysis

    return Counter(item.code for item in check_analysis(text, analysis, selected=frozenset(CATALOGUE) - {"DSD902"}))
