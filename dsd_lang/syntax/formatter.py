"""Formats a schedule: one statement per line, two spaces of indentation, every comment kept.

canonical_order.py orders the parts of a statement, and spacing.py sets blanks and line breaks. This module lays out
statements, blocks and the comments between them, and leaves alone what format_directives.py finds. Formatting never
changes the meaning or the comments; `dsd_lang.formatting` checks that for every text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.syntax import nodes
from dsd_lang.syntax.canonical_order import percentages, pieces_of
from dsd_lang.syntax.directives import StatementRange, covered, covered_line, directive_in, stretches
from dsd_lang.syntax.format_directives import FormatDirective, format_directives
from dsd_lang.syntax.parser import ParseResult, parse
from dsd_lang.syntax.spacing import TokenLine, comment_text, lines_of, respaced_arm
from dsd_lang.syntax.terminals import Token

BYTE_ORDER_MARK = "\ufeff"
INDENT = "  "
_WITH_BODY = (nodes.RepeatBlock, nodes.ForBlock, nodes.Sweep, nodes.Def, nodes.Within)
MAX_ALIGNED = 88
"""Lines with more code than this do not take part in lining up comments."""


class _Verbatim(NamedTuple):
    """A part of the source that is left as it is, with its line endings."""

    text: str


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
    newline = _newline_of(text)
    layout = _Layout(text, parsed.program.comments, parsed.tokens, newline)
    layout.block(parsed.program.statements, depth=0, end=len(text), last_line=None)
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    return mark + "".join(_written(layout.lines, newline))


def _newline_of(text: str) -> str:
    """The line ending of the first line."""
    position = next((index for index, character in enumerate(text) if character in "\r\n"), len(text))
    return "\r\n" if text.startswith("\r\n", position) else text[position : position + 1] or "\n"


class _Layout:
    """One pass over statements and comments, both in source order."""

    def __init__(self, text: str, comments: Sequence[nodes.Comment], tokens: Sequence[Token], newline: str) -> None:
        self.lines: list[TokenLine | _Verbatim | None] = []  # None: a blank line
        self._source = SourceText(text)
        self._newline = newline
        self._comments = list(reversed(comments))
        self._tokens = [token for token in tokens if token.kind not in ("_SEPARATOR", "$END")]
        self._starts = [token.span.start for token in self._tokens]
        self._index = 0  # end of the next token
        self._has_shares = False  # a percentage may be a length here, because of a `within`
        found = stretches(tokens) if "dsd:" in text or "fmt:" in text else []
        directives = format_directives(self._source, comments, found) if "fmt:" in text else []
        self._regions = {one.comment.span.start: one.region for one in directives if one.region is not None}
        self._region_end = 0  # of the last part that was left as it is because of a `# fmt: off`
        kept, skipped = _kept_together(self._source, comments, found), _skipped(directives, found)
        self._held = sorted([*((one, False) for one in kept), *((one, True) for one in skipped)])

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
            if statement.span.start >= self._region_end:
                last_line, is_first = self._comments_before(statement.span.start, depth, last_line, is_first)
            if statement.span.start < self._region_end:
                position += 1
                continue
            self._gap(last_line, statement.span.line, is_first=is_first)
            num_kept, is_skipped = self._num_kept(body, position)
            if num_kept:
                position += num_kept - 1
                write = self._verbatim if is_skipped else self._as_written
                write(statement.span.to(body[position].span), depth)
            else:
                self._statement(statement, depth)
            last_line, is_first = body[position].span.end_line, False
            position += 1
        self._comments_before(end, depth, last_line, is_first)

    # --- statements that stay as they are -----------------------------------------------------------------------------

    def _num_kept(self, body: Sequence[nodes.Statement | nodes.Branch], first: int) -> tuple[int, bool]:
        """How many statements, from the ``first`` on, stay as they are, and whether because of a `# fmt: skip`.

        Otherwise they share a line that a `# dsd: ignore` applies to: on separate lines it would not apply to all.
        """
        behind, is_skipped = first, False
        for (start, end), is_skip in self._held:
            if not any(self._is_held(statement, start, end) for statement in body[first : max(first + 1, behind)]):
                continue
            is_skipped |= is_skip
            behind = max(behind, first + 1)
            while behind < len(body) and body[behind].span.start < end:
                behind += 1
        return behind - first, is_skipped

    def _is_held(self, statement: nodes.Statement | nodes.Branch, start: int, end: int) -> bool:
        """Whether a range reaches into the statement, and not only into its block."""
        if end <= statement.span.start or statement.span.end <= start:
            return False
        body = _body(statement)
        return not body or start < body[0].span.start or end > body[-1].span.end

    def _as_written(self, span: Span, depth: int) -> None:
        """A part of the source unchanged, except for the indentation of its first line."""
        self._pass_over(span.end)
        first, *others = (
            self._source.line(number)[: span.end_column - 1 if number == span.end_line else None].rstrip()
            for number in range(span.line, span.end_line + 1)
        )
        written = [TokenLine(depth, first[span.column - 1 :]), *(TokenLine(0, line) for line in others)]
        self.lines += self._with_comment(written, span.end, span.end_line)

    def _verbatim(self, span: Span, depth: int) -> None:
        """Statements of a `# fmt: skip` and the rest of their line unchanged, except for the indentation."""
        self._pass_over(span.end)
        end = self._source.starts[span.end_line - 1] + len(self._source.line(span.end_line))
        if self._index < len(self._starts) and self._starts[self._index] < end:
            end = span.end  # another statement is on the line, and the comment is on one before it
        self._pass_over(end)
        self.lines.append(_Verbatim(INDENT * depth + self._source.text[span.start : end].rstrip() + self._newline))

    def _region(self, start: int, end: int, depth: int) -> None:
        """The text from `# fmt: off` to `# fmt: on` unchanged, except for the indentation of the first."""
        self._pass_over(end)
        self._region_end = end
        text = INDENT * depth + self._source.text[start:end]
        is_whole = end == len(self._source.text) or text[-1] in "\r\n"
        self.lines.append(_Verbatim(text if is_whole else text.rstrip(" \t") + self._newline))

    def _pass_over(self, end: int) -> None:
        """Drops the comments and tokens before an offset: they are written."""
        while self._comments and self._comments[-1].span.start < end:
            self._comments.pop()
        while self._index < len(self._tokens) and self._starts[self._index] < end:
            self._index += 1

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, statement: nodes.Statement | nodes.Branch, depth: int) -> None:
        head = self._head(statement)
        opens_block = head[-1].kind == "LBRACE"
        inner = {token.span.start: found for token, found in self._comments_within(head)}
        pieces = pieces_of(statement, head, keeps_order=bool(inner), has_shares=self._has_shares)
        texts = {**_respelt(head), **percentages(statement)}
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
        outside, self._has_shares = self._has_shares, self._has_shares or _may_have_shares(statement)
        self.block(body, depth=depth + 1, end=end - 1, last_line=brace.span.line)
        self._has_shares = outside
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
            region = self._regions.get(comment.span.start)
            if region is None:
                self.lines.append(TokenLine(depth, "", comment_text(comment)))
            else:
                self._region(*region, depth)
            last_line, is_first = comment.span.line, region is not None  # blank lines behind a region belong to it
        return last_line, is_first

    def _gap(self, last_line: int | None, line: int, *, is_first: bool) -> None:
        """A blank line if there was one, but none at the start of a block."""
        if last_line is None or is_first:
            return
        if any(not self._source.line(number).strip() for number in range(last_line + 1, line)):
            self.lines.append(None)


def _kept_together(
    source: SourceText, comments: Sequence[nodes.Comment], found: Sequence[StatementRange]
) -> list[tuple[int, int]]:
    """Ranges of statements that share a line that a `# dsd: ignore` applies to."""
    directives = [comment for comment in comments if directive_in(comment.text)] if found else []
    covers = (covered(covered_line(source, comment), found) for comment in directives)
    return [(around[0].start, around[-1].end) for around in covers if len(around) > 1]


def _skipped(directives: Sequence[FormatDirective], found: Sequence[StatementRange]) -> list[tuple[int, int]]:
    """Ranges of the statements that end in a `# fmt: skip`."""
    skips = [one for one in directives if one.word == "skip" and not one.problem]
    covers = (covered(one.comment.span.line, found) for one in skips)
    return [(around[0].start, around[-1].end) for around in covers if around]


def _body(statement: nodes.Statement | nodes.Branch) -> Sequence[nodes.Statement | nodes.Branch]:
    if isinstance(statement, nodes.Fork):
        return statement.branches
    if isinstance(statement, nodes.Branch) and statement.is_phase and isinstance(statement.body[0], nodes.Within):
        return statement.body[0].body
    if isinstance(statement, (*_WITH_BODY, nodes.Branch)):
        return statement.body
    return ()


def _may_have_shares(statement: nodes.Statement | nodes.Branch) -> bool:
    """Whether a percentage in its block may be a length; the body of a `def` may be called in a `within`."""
    if isinstance(statement, nodes.Branch):
        return statement.is_phase and isinstance(statement.body[0], nodes.Within)
    return isinstance(statement, (nodes.Within, nodes.Def))


def _respelt(head: Sequence[Token]) -> dict[int, str]:
    """By offset, what is written in another way: strings with double quotes, names of arms with their blanks."""
    found: dict[int, str] = {}
    for kind, text, span in head:
        if kind == "STRING" and text[0] == "'" and '"' not in text:
            found[span.start] = f'"{text[1:-1]}"'
        elif kind in ("ARM", "REFERENCE") and "[" in text:
            found[span.start] = respaced_arm(text)
    return found


# --- lines ------------------------------------------------------------------------------------------------------------


def _written(lines: Sequence[TokenLine | _Verbatim | None], newline: str) -> Iterator[str]:
    """The lines as text, with the comments of neighbouring lines of the same indentation aligned."""
    index = 0
    while index < len(lines):
        run = _run(lines, index)
        width = max((len(line.code) for line in run if len(line.code) <= MAX_ALIGNED), default=0)
        for line in run or lines[index : index + 1]:
            if line is None:
                yield newline
            elif isinstance(line, _Verbatim):
                yield line.text
            elif not line.code or not line.comment:
                yield INDENT * line.indent + line.code + line.comment + newline
            else:
                code = line.code.ljust(width) if len(line.code) <= width else line.code
                yield f"{INDENT * line.indent}{code}  {line.comment}{newline}"
        index += len(run) or 1


def _run(lines: Sequence[TokenLine | _Verbatim | None], start: int) -> list[TokenLine]:
    """The neighbouring lines of the same indentation, from there on, that have code and a comment."""
    run: list[TokenLine] = []
    for index in range(start, len(lines)):
        line = lines[index]
        if not isinstance(line, TokenLine) or not (line.code and line.comment):
            break
        if run and line.indent != run[0].indent:
            break
        run.append(line)
    return run
