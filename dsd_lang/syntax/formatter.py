"""Formats a schedule: one statement per line, two spaces of indentation, every comment kept.

canonical_order.py orders the parts of a statement, and spacing.py sets blanks and line breaks. This module lays out
statements, blocks and the comments between them. Formatting never changes the meaning or the comments;
`dsd_lang.formatting` checks that for every text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import SourceText
from dsd_lang.syntax import nodes
from dsd_lang.syntax.canonical_order import percentages, pieces_of
from dsd_lang.syntax.directives import DIRECTIVE, covered, covered_line, stretches
from dsd_lang.syntax.parser import ParseResult, parse
from dsd_lang.syntax.spacing import TokenLine, comment_text, lines_of
from dsd_lang.syntax.terminals import Token

BYTE_ORDER_MARK = "\ufeff"
INDENT = "  "
MAX_ALIGNED = 88
"""Lines with more code than this do not take part in lining up comments."""


class UnformattableError(DsdError):
    """The text has syntax errors; ``diagnostics`` are all of them."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        first = diagnostics[0]
        super().__init__(
            f"a schedule with syntax errors cannot be formatted: line {first.span.line}: {first.message}",
            help="`dsd-lint` shows all of them",
        )
        self.diagnostics = tuple(diagnostics)


def format_text(text: str, *, parsed: ParseResult | None = None) -> str:
    """The text in canonical form; its line endings and byte-order mark are kept.

    Raises :class:`UnformattableError` (a `DsdError`) for a text with syntax errors.

    >>> format_text("sparse 50ep 0.5 layers=fc , birnn;dense  # all")
    'sparse 50% layers=fc,birnn 50ep\\ndense  # all\\n'
    """
    parsed = parsed or parse(text)
    if parsed.diagnostics:
        raise UnformattableError(parsed.diagnostics)
    layout = _Layout(text, parsed.program.comments, parsed.tokens)
    layout.block(parsed.program.statements, depth=0, end=len(text), last_line=None)
    body = "".join(f"{line}\n" for line in _written(layout.lines))
    newline = _newline_of(text)
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    return mark + (body if newline == "\n" else body.replace("\n", newline))


def _newline_of(text: str) -> str:
    """The line ending of the first line."""
    position = next((index for index, character in enumerate(text) if character in "\r\n"), len(text))
    return "\r\n" if text.startswith("\r\n", position) else text[position : position + 1] or "\n"


class _Layout:
    """One pass over statements and comments, both in source order."""

    def __init__(self, text: str, comments: Sequence[nodes.Comment], tokens: Sequence[Token]) -> None:
        self.lines: list[TokenLine | None] = []  # None: a blank line
        self._source = SourceText(text)
        self._comments = list(reversed(comments))
        self._tokens = [token for token in tokens if token.kind not in ("_SEPARATOR", "$END")]
        self._starts = [token.span.start for token in self._tokens]
        self._index = 0  # end of the next token
        self._kept_together = _kept_together(self._source, comments, tokens)

    def block(
        self, body: Sequence[nodes.Statement | nodes.Branch], *, depth: int, end: int, last_line: int | None
    ) -> None:
        """The statements of a block and the comments around them, up to the offset ``end``.

        ``last_line`` is the line of the last thing written; None at the start of the file.
        """
        is_first = True
        position = 0
        while position < len(body):
            statement = body[position]
            last_line, is_first = self._comments_before(statement.span.start, depth, last_line, is_first)
            self._gap(last_line, statement.span.line, is_first=is_first)
            num_kept = self._num_kept(body[position:])
            if num_kept:
                position += num_kept - 1
                self._as_written(statement.span.to(body[position].span), depth)
            else:
                self._statement(statement, depth)
            last_line, is_first = body[position].span.end_line, False
            position += 1
        self._comments_before(end, depth, last_line, is_first)

    # --- statements that stay as they are -----------------------------------------------------------------------------

    def _num_kept(self, body: Sequence[nodes.Statement | nodes.Branch]) -> int:
        """How many statements, from the first one on, share a line that a `# dsd: ignore` applies to.

        On separate lines it would not apply to all of them.
        """
        count = 0
        for start, end in self._kept_together:
            if not any(self._is_held(statement, start, end) for statement in body[: max(1, count)]):
                continue
            while count < len(body) and body[count].span.start < end:
                count += 1
        return count

    def _is_held(self, statement: nodes.Statement | nodes.Branch, start: int, end: int) -> bool:
        """Whether a range reaches into the statement, and not only into its block."""
        if end <= statement.span.start or statement.span.end <= start:
            return False
        body = _body(statement)
        return not body or start < body[0].span.start or end > body[-1].span.end

    def _as_written(self, span: Span, depth: int) -> None:
        """A part of the source unchanged, except for the indentation of its first line."""
        while self._comments and self._comments[-1].span.start < span.end:
            self._comments.pop()
        while self._index < len(self._tokens) and self._starts[self._index] < span.end:
            self._index += 1
        first, *others = (
            self._source.line(number)[: span.end_column - 1 if number == span.end_line else None].rstrip()
            for number in range(span.line, span.end_line + 1)
        )
        written = [TokenLine(depth, first[span.column - 1 :]), *(TokenLine(0, line) for line in others)]
        self.lines += self._with_comment(written, span.end, span.end_line)

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, statement: nodes.Statement | nodes.Branch, depth: int) -> None:
        head = self._head(statement)
        opens_block = head[-1].kind == "LBRACE"
        inner = {token.span.start: found for token, found in self._comments_within(head)}
        pieces = pieces_of(statement, head, keeps_order=bool(inner))
        texts = {**_requoted(head), **percentages(statement)}
        written = lines_of(pieces, texts, inner, indent=depth)
        if not opens_block:
            self.lines += self._with_comment(written, statement.span.end, statement.span.end_line)
            return
        self._block_statement(statement, written, head[-1], depth)

    def _block_statement(
        self, statement: nodes.Statement | nodes.Branch, written: list[TokenLine], brace: Token, depth: int
    ) -> None:
        """`... {`, the body, `}`; a comment after a block on one line moves to its head."""
        end = statement.span.end
        is_on_one_line = brace.span.line == statement.span.end_line
        body = _body(statement)
        head_lines = self._with_comment(written, brace.span.end, brace.span.line)
        if is_on_one_line:
            head_lines = self._with_comment(head_lines, end, statement.span.end_line)
        is_empty = not body and (not self._comments or self._comments[-1].span.start > end)
        if is_empty and not head_lines[-1].comment:
            self._index += 1
            closed = head_lines[-1]._replace(code=head_lines[-1].code + "}")
            self.lines += self._with_comment([*head_lines[:-1], closed], end, statement.span.end_line)
            return
        self.lines += head_lines
        self.block(body, depth=depth + 1, end=end - 1, last_line=brace.span.line)
        self._index += 1
        self.lines += self._with_comment([TokenLine(depth, "}")], end, statement.span.end_line)

    def _head(self, statement: nodes.Statement | nodes.Branch) -> Sequence[Token]:
        """The tokens of a statement up to its end, or up to and including its `{`."""
        start = self._index
        while True:
            token = self._tokens[self._index]
            self._index += 1
            is_last = self._index == len(self._tokens) or self._tokens[self._index].span.start >= statement.span.end
            if token.kind == "LBRACE" or is_last:
                return self._tokens[start : self._index]

    # --- comments -----------------------------------------------------------------------------------------------------

    def _comments_within(self, head: Sequence[Token]) -> Iterator[tuple[Token, list[nodes.Comment]]]:
        """Comments between the tokens of a head, each with the token before it."""
        for left, right in pairwise(head):
            found = []
            while self._comments and self._comments[-1].span.start < right.span.start:
                found.append(self._comments.pop())
            if found:
                yield left, found

    def _with_comment(self, written: list[TokenLine], start: int, line: int) -> list[TokenLine]:
        """The lines with the comment at the end of that source line, if only the comment follows the offset there."""
        if not self._comments or written[-1].comment:
            return written
        comment = self._comments[-1]
        position = bisect_left(self._starts, start)
        is_followed = position < len(self._starts) and self._starts[position] < comment.span.start
        if comment.is_alone or comment.span.line != line or comment.span.start < start or is_followed:
            return written
        self._comments.pop()
        return [*written[:-1], written[-1]._replace(comment=comment_text(comment))]

    def _comments_before(self, end: int, depth: int, last_line: int | None, is_first: bool) -> tuple[int | None, bool]:
        """The comments before an offset, each on its own line."""
        while self._comments and self._comments[-1].span.start < end:
            comment = self._comments.pop()
            self._gap(last_line, comment.span.line, is_first=is_first)
            self.lines.append(TokenLine(depth, "", comment_text(comment)))
            last_line, is_first = comment.span.line, False
        return last_line, is_first

    def _gap(self, last_line: int | None, line: int, *, is_first: bool) -> None:
        """A blank line if there was one, but none at the start of a block."""
        if last_line is None or is_first:
            return
        if any(not self._source.line(number).strip() for number in range(last_line + 1, line)):
            self.lines.append(None)


def _kept_together(
    source: SourceText, comments: Sequence[nodes.Comment], tokens: Sequence[Token]
) -> list[tuple[int, int]]:
    """Ranges of statements that share a line that a `# dsd: ignore` applies to."""
    directives = [comment for comment in comments if DIRECTIVE.match(comment.text)]
    if not directives:
        return []
    found = stretches(tokens)
    covers = (covered(covered_line(source, comment), found) for comment in directives)
    return [(around[0].start, around[-1].end) for around in covers if len(around) > 1]


def _body(statement: nodes.Statement | nodes.Branch) -> Sequence[nodes.Statement | nodes.Branch]:
    if isinstance(statement, nodes.Fork):
        return statement.branches
    if isinstance(statement, (nodes.RepeatBlock, nodes.ForBlock, nodes.Sweep, nodes.Branch)):
        return statement.body
    return ()


def _requoted(head: Sequence[Token]) -> dict[int, str]:
    """By offset, single-quoted strings rewritten with double quotes."""
    return {
        token.span.start: f'"{token.text[1:-1]}"'
        for token in head
        if token.kind == "STRING" and token.text[0] == "'" and '"' not in token.text
    }


# --- lines ------------------------------------------------------------------------------------------------------------


def _written(lines: Sequence[TokenLine | None]) -> Iterator[str]:
    """The lines as text, with the comments of neighbouring lines of the same indentation aligned."""
    index = 0
    while index < len(lines):
        run = _run(lines, index)
        width = max((len(line.code) for line in run if len(line.code) <= MAX_ALIGNED), default=0)
        for line in run or lines[index : index + 1]:
            if line is None:
                yield ""
            elif not line.code or not line.comment:
                yield INDENT * line.indent + line.code + line.comment
            else:
                code = line.code.ljust(width) if len(line.code) <= width else line.code
                yield f"{INDENT * line.indent}{code}  {line.comment}"
        index += len(run) or 1


def _run(lines: Sequence[TokenLine | None], start: int) -> list[TokenLine]:
    """The neighbouring lines of the same indentation, from there on, that have code and a comment."""
    run: list[TokenLine] = []
    for line in lines[start:]:
        if line is None or not (line.code and line.comment) or (run and line.indent != run[0].indent):
            break
        run.append(line)
    return run
