"""Applies suppression comments to diagnostics: `# dsd: ignore[DSD303]`.

`dsd_lang.syntax.directives` decides which statements a comment applies to. A comment contains codes or rule names of
warnings and advice; errors cannot be suppressed. A suppression that suppresses nothing is reported (DSD903).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from dsd_lang.base.diagnostics import CATALOGUE, ERRORS, Diagnostic, Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.syntax.directives import StatementRange, covered_line, directive_in
from dsd_lang.syntax.nodes import Comment

_NEXT_COMMENT = r"\s*(#.*)"


class _Word(NamedTuple):
    """One code or name in the brackets of a comment."""

    text: str
    span: Span

    @property
    def code(self) -> str | None:
        if self.text.upper() in CATALOGUE:
            return self.text.upper()
        return next((entry.code for entry in CATALOGUE.values() if entry.name == self.text), None)


def apply_suppressions(
    source: SourceText,
    comments: Iterable[Comment],
    diagnostics: Sequence[Diagnostic],
    *,
    around: Callable[[int], Sequence[StatementRange]],
    looked_for: frozenset[str],
    reports: bool = True,
) -> tuple[Diagnostic, ...]:
    """The diagnostics that no comment suppresses, and those about the comments, in source order.

    ``around`` finds the statements with a part on a line. A comment about a code that was not ``looked_for`` is not
    reported as unused. ``reports`` is False if DSD903 is not selected.
    """
    directives = [(comment, found) for comment in comments if (found := directive_in(comment.text)) is not None]
    if not directives:
        return tuple(diagnostics)
    kept = list(diagnostics)
    added: list[Diagnostic] = []
    for comment, found in directives:
        words = _words(comment, found)
        if not words:
            span = part_of(comment.span, 0, found.end())
            help = "write `# dsd: ignore[DSD303]`"
            added.append(Diagnostic("DSD903", "a suppression names the codes it suppresses", span, help=help))
        line = covered_line(source, comment)
        reached = around(line)
        useless: list[_Word] = []
        for word in words:
            if word.code is None:
                added.append(_unknown(word))
            elif word.code in ERRORS:
                useless.append(word)
            else:
                left = [item for item in kept if not (item.code == word.code and _covers(item, line, reached))]
                if len(left) == len(kept) and word.code in looked_for:
                    useless.append(word)
                kept = left
        added += [_useless(word, line, _removal(source, comment, found, word, words, useless)) for word in useless]
    return tuple(sorted([*kept, *(added if reports else ())], key=lambda diagnostic: diagnostic.span.start))


def _words(comment: Comment, found: re.Match[str]) -> list[_Word]:
    offset = found.start(1)
    return [
        _Word(written[0], part_of(comment.span, offset + written.start(), offset + written.end()))
        for written in re.finditer(r"[^\s,]+", found[1] or "")
    ]


def _covers(diagnostic: Diagnostic, line: int, around: Sequence[StatementRange]) -> bool:
    span = diagnostic.span
    return span.line <= line <= span.end_line or any(one.start < span.end and span.start < one.end for one in around)


def part_of(span: Span, start: int, end: int) -> Span:
    """A part of a span within one line, by offsets from its start."""
    return Span(span.line, span.column + start, span.line, span.column + end, span.start + start, span.start + end)


def _unknown(word: _Word) -> Diagnostic:
    guess = nearest(word.text, [*CATALOGUE, *(entry.name for entry in CATALOGUE.values())])
    return Diagnostic(
        "DSD903",
        f"unknown rule `{word.text}`",
        word.span,
        label=f"did you mean `{guess}`?" if guess else "no such rule",
        help="`dsd-lint --explain all` lists the rules",
        fix=replacement(word.span, guess) if guess else None,
    )


def _useless(word: _Word, line: int, fix: Fix) -> Diagnostic:
    """A diagnostic about a word that names an error or does not exist."""
    if word.code in ERRORS:
        message, help = f"`{word.text}` is an error, and errors cannot be suppressed", "correct the schedule instead"
    else:
        message = f"`{word.text}` is suppressed but not reported on line {line}"
        help = "delete it: it suppresses nothing"
    return Diagnostic("DSD903", message, word.span, help=help, fix=fix)


def _removal(
    source: SourceText,
    comment: Comment,
    found: re.Match[str],
    word: _Word,
    words: Sequence[_Word],
    useless: Sequence[_Word],
) -> Fix:
    if len(useless) == len(words):
        return Fix("delete the comment", (without_comment(source, comment, found),), "safe")
    return Fix(f"leave out `{word.text}`", (_without_word(word, words),), "safe")


def _without_word(word: _Word, words: Sequence[_Word]) -> Edit:
    """An edit that removes one word of the list and its comma."""
    index = words.index(word)
    if index == 0:
        return Edit(Span(*word.span[:2], *words[1].span[:2], word.span.start, words[1].span.start), "")
    before = words[index - 1].span
    return Edit(Span(before.end_line, before.end_column, *word.span[2:4], before.end, word.span.end), "")


def without_comment(source: SourceText, comment: Comment, found: re.Match[str]) -> Edit:
    """An edit that removes the comment, or the line if nothing else is on it. A second `#` after it stays."""
    span = comment.span
    follows = re.compile(_NEXT_COMMENT).match(comment.text, found.end())
    if follows is not None:
        return Edit(part_of(span, 0, follows.start(1)), "")
    begin = source.starts[span.line - 1]
    if comment.is_alone:
        end = source.starts[span.line] if span.line < source.num_lines else span.end
        return Edit(source.span(begin, end), "")
    blank = len(source.text[begin : span.start].rstrip())
    return Edit(source.span(begin + blank, span.end), "")
