"""Formats a schedule, and checks for each text that plan and comments are unchanged.

It checks that the plan hash is the same, that formatting again changes nothing, that no comment is lost, and that the
same diagnostics are suppressed. A text that is already canonical needs no check; any other is compiled before and
after. If a check fails, it is a bug of the formatter, and no text is returned.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.files import read_schedule
from dsd_lang.base.named_tuples import NamedTuple

if TYPE_CHECKING:
    from dsd_lang.analysis import Analysis
    from dsd_lang.passes.read_used_files import ReadFile
    from dsd_lang.syntax import nodes


class Formatted(NamedTuple):
    """``text`` is in canonical form."""

    text: str
    is_changed: bool


class LawBrokenError(Exception):
    """Formatting would have changed the meaning of the text or lost a comment: a bug of the formatter."""


def formatted(
    text: str, *, analysis: Analysis | None = None, source: str | None = None, read: ReadFile = read_schedule
) -> Formatted:
    """The canonical text of a schedule, checked; raises :class:`dsd_lang.base.errors.DsdError` for syntax errors.

    ``source`` is the path of the schedule, to which the files that it uses are relative, and ``read`` reads those.
    ``analysis`` is that of the text with the same two and without a model, if the caller already has it.

    >>> formatted("dense 5ep; sparse .5").text
    'dense 5ep\\nsparse 50%\\n'
    """
    from dsd_lang.syntax.formatter import format_text
    from dsd_lang.syntax.parser import parse

    old = parse(text) if analysis is None or analysis.resolved is None else analysis.parsed
    result = format_text(text, parsed=old)
    if result == text:
        return Formatted(text, is_changed=False)
    new = parse(result)
    if format_text(result, parsed=new) != result:
        raise LawBrokenError("formatting the result again would change it")
    if "dsd:" not in text and _is_only_laid_out_anew(old.program, new.program):
        return Formatted(result, is_changed=True)
    from dsd_lang.analysis import analyse

    selected = None if "dsd:" in text else ()  # the rules that are off by default change no plan and no error
    before = analysis or analyse(text, parsed=old, source=source, read=read, selected=selected)
    after = analyse(result, parsed=new, source=source, read=read, selected=selected)
    if _comments(before) != _comments(after):
        raise LawBrokenError("formatting would lose a comment")
    meant, means = _meaning(before), _meaning(after)
    if meant != means:
        raise LawBrokenError(f"formatting would change the meaning from {meant} to {means}")
    if "dsd:" in text and _told(text, before) != _told(result, after):
        raise LawBrokenError("formatting would change what a suppression silences")
    return Formatted(result, is_changed=True)


def _is_only_laid_out_anew(old: nodes.Program, new: nodes.Program) -> bool:
    """Whether both texts have the same tree and comments: then they mean the same and need not be expanded."""
    from dsd_lang.syntax.bare_tree import bare

    if Counter(item.text.rstrip() for item in old.comments) != Counter(item.text.rstrip() for item in new.comments):
        return False
    if len(old.statements) != len(new.statements):
        return False
    try:
        return all(bare(one) == bare(other) for one, other in zip(old.statements, new.statements, strict=True))
    except RecursionError:  # too deep to compare: compare the plans
        return False


def _comments(analysis: Analysis) -> Counter[str]:
    return Counter(comment.text.rstrip() for comment in analysis.program.comments)


def _meaning(analysis: Analysis) -> str:
    """The plan's hash; for a schedule with errors, their codes."""
    from dsd_lang.compiler import plan_of

    if analysis.resolved is None:
        return ", ".join(sorted(diagnostic.code for diagnostic in analysis.errors))
    return plan_of(analysis.resolved).hash


def _told(text: str, analysis: Analysis) -> Counter[str]:
    """The diagnostics of a text with all rules on, except those about its layout."""
    from dsd_lang.lint.checking import check_analysis

    return Counter(item.code for item in check_analysis(text, analysis, selected=frozenset(CATALOGUE) - {"DSD902"}))
