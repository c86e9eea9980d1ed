"""Finds `# fmt: skip`, `# fmt: off` and `# fmt: on` comments, and the part of the text that each leaves as it is.

`# fmt: skip` at the end of a line applies to every statement that has a part on that line, with its block. `# fmt: off`
on a line of its own, between statements, applies up to `# fmt: on` in the same block, or to the end of that block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.syntax.directives import StatementRange
from dsd_lang.syntax.nodes import Comment

FORMAT_DIRECTIVE = re.compile(r"(?:(?<=\s)|^)#[ \t]*fmt:[ \t]*([^\s#]*)")
FORMAT_WORDS = ("skip", "off", "on")


class FormatDirective(NamedTuple):
    """One comment: its word and the word's span, the offsets it leaves as they are, and why it has no effect.

    ``region`` begins with the comment; it is None for `skip`, `on`, and an `off` that has no effect.
    """

    comment: Comment
    word: str
    span: Span
    region: tuple[int, int] | None = None
    problem: str = ""


def format_directives(
    source: SourceText, comments: Iterable[Comment], statements: Sequence[StatementRange]
) -> list[FormatDirective]:
    """The directives of a text, in source order; ``statements`` are those of :func:`directives.stretches`."""
    written = [(comment, found) for comment in comments if (found := FORMAT_DIRECTIVE.search(comment.text)) is not None]
    return _Blocks(source, statements).read(written) if written else []


class _Blocks:
    """One pass over statements and directives that knows the blocks around it."""

    def __init__(self, source: SourceText, statements: Sequence[StatementRange]) -> None:
        self.source = source
        self.statements = statements
        self.index = 0
        self.found: list[FormatDirective] = []
        self.off: list[int | None] = [None]  # for each open block, the `off` in ``found`` that is in force

    def read(self, written: Sequence[tuple[Comment, re.Match[str]]]) -> list[FormatDirective]:
        for comment, match in written:
            self._advance(comment.span.start)
            self._directive(comment, match)
        self._advance(len(self.source.text) + 1)
        while self.off:
            self._end(len(self.source.text))
            self.off.pop()
        return self.found

    def _advance(self, offset: int) -> None:
        """Opens and closes the blocks before an offset."""
        text = self.source.text
        while self.index < len(self.statements) and self.statements[self.index].end <= offset:
            one = self.statements[self.index]
            self.index += 1
            if text.startswith("}", one.start):  # one that the lexer put in has no text
                self._end(self._before_brace(one))
                if len(self.off) > 1:
                    self.off.pop()
            elif text[one.end - 1] == "{":
                self.off.append(None)

    def _before_brace(self, brace: StatementRange) -> int:
        """Where the line of a closing brace begins, or the brace itself if something is before it."""
        begin = self.source.starts[brace.first_line - 1]
        return brace.start if self.source.text[begin : brace.start].strip() else begin

    def _directive(self, comment: Comment, match: re.Match[str]) -> None:
        word = match[1]
        span = comment.span
        start, end = span.start + match.start(1), span.start + match.end(1)
        column = span.column + match.start(1)
        problem = self._problem(comment, word)
        if word == "on" and not problem:
            self._end(self.source.starts[span.line - 1])
        elif word == "off" and not problem:
            self.off[-1] = len(self.found)
        word_span = Span(span.line, column, span.line, column + end - start, start, end)
        self.found.append(FormatDirective(comment, word, word_span, None, problem))

    def _problem(self, comment: Comment, word: str) -> str:
        """Why a directive has no effect; empty if it has one."""
        if word not in FORMAT_WORDS:
            return f"`fmt: {word}` is unknown" if word else "`fmt:` says nothing"
        if word == "skip":
            return "`fmt: skip` is at the end of a statement, not on a line of its own" if comment.is_alone else ""
        if not comment.is_alone or self._is_inside_statement(comment.span.start):
            return f"`fmt: {word}` is on a line of its own, between statements"
        if word == "on":
            return "" if self.off[-1] is not None else "`fmt: on` has no `fmt: off` before it in this block"
        return "the formatter is off here already" if any(one is not None for one in self.off) else ""

    def _is_inside_statement(self, offset: int) -> bool:
        return self.index < len(self.statements) and self.statements[self.index].start < offset

    def _end(self, offset: int) -> None:
        """Ends the region that is open in the innermost block."""
        number = self.off[-1]
        if number is None:
            return
        directive = self.found[number]
        self.found[number] = directive._replace(region=(directive.comment.span.start, offset))
        self.off[-1] = None
