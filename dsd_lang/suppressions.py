"""Comments and findings in, the findings that are left out: `# dsd: ignore[DSD303]`.

A comment at the end of a line covers that line; one alone on its line covers the next line that holds a statement. It
names codes or the names of rules. A suppression that suppresses nothing is itself a finding (DSD903).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dsd_lang.diagnostics import CATALOGUE, Diagnostic, Edit, Fix, Span
from dsd_lang.errors import nearest
from dsd_lang.source import Source
from dsd_lang.syntax.nodes import Comment

_DIRECTIVE = re.compile(r"#\s*dsd:\s*ignore\b(?:\[([^\]]*)\])?")


def apply_suppressions(
    source: Source, comments: Iterable[Comment], findings: Sequence[Diagnostic], *, selected: frozenset[str]
) -> tuple[Diagnostic, ...]:
    """The findings that no comment suppresses, and what is wrong with the comments; in source order.

    ``selected`` are the codes that are looked for: a comment about any other is not called unused.
    """
    directives = [(comment, found) for comment in comments if (found := _DIRECTIVE.match(comment.text)) is not None]
    if not directives:
        return tuple(findings)
    kept = list(findings)
    added: list[Diagnostic] = []
    for comment, found in directives:
        place = _part(comment.span, 0, found.end())
        if not (found[1] or "").strip():
            added.append(
                _finding(
                    comment, place, "a suppression names the codes it suppresses", help="write `# dsd: ignore[DSD303]`"
                )
            )
            continue
        line = _covered_line(source, comment)
        for written in re.finditer(r"[^\s,]+", found[1]):
            offset = found.start(1) + written.start()
            span = _part(comment.span, offset, offset + len(written[0]))
            code = _code_of(written[0])
            if code is None:
                added.append(_unknown(comment, span, written[0]))
                continue
            left = [finding for finding in kept if not (finding.code == code and _covers(finding, line))]
            if len(left) == len(kept) and code in selected:
                added.append(
                    _finding(
                        comment,
                        span,
                        f"`{written[0]}` is suppressed but not found on line {line}",
                        help="delete it: it silences nothing",
                        fix=Fix("delete the comment", (Edit(comment.span, ""),), "safe"),
                    )
                )
            kept = left
    if "DSD903" not in selected:
        added = []
    return tuple(sorted([*kept, *added], key=lambda finding: finding.span.start))


def _covered_line(source: Source, comment: Comment) -> int:
    line = comment.span.line
    if not comment.is_alone:
        return line
    for number in range(line + 1, source.num_lines + 1):
        text = source.line(number).strip()
        if text and not text.startswith("#"):
            return number
    return line


def _covers(finding: Diagnostic, line: int) -> bool:
    return finding.span.line <= line <= finding.span.end_line


def _code_of(word: str) -> str | None:
    if word.upper() in CATALOGUE:
        return word.upper()
    return next((entry.code for entry in CATALOGUE.values() if entry.name == word), None)


def _part(span: Span, start: int, end: int) -> Span:
    return Span(span.line, span.column + start, span.line, span.column + end, span.start + start, span.start + end)


def _unknown(comment: Comment, span: Span, word: str) -> Diagnostic:
    guess = nearest(word, [*CATALOGUE, *(entry.name for entry in CATALOGUE.values())])
    return _finding(
        comment, span, f"there is no rule `{word}` to suppress", label=f"did you mean `{guess}`?" if guess else ""
    )


def _finding(
    comment: Comment, span: Span, message: str, *, label: str = "", help: str = "", fix: Fix | None = None
) -> Diagnostic:
    return Diagnostic("DSD903", message, span, label, help, fix)
