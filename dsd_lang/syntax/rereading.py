"""Parses a changed text, reusing the parse of its earlier version before and behind the change.

For editors, where one keystroke follows another. The result is the same as that of
:func:`dsd_lang.syntax.parser.parse`, including spans and diagnostics.

Only whole statements outside of all blocks are reused, so a new statement with a block needs nothing here. What makes
them reusable, and what a change of the lexer or parser has to keep true:

- The head: a statement before the change gives the same whatever follows the separator behind it.
- The tail: a statement that begins a line gives the same whatever precedes it, if that has no mistake, leaves no
  bracket open and ends with a separator. Only its lines and offsets change, by the same numbers for all that follows.
- Where there is a mistake, repairs look further ahead, so nothing behind it is reused. The last version without
  a mistake is kept for the next one, since most mistakes are words that are half typed.
- A missing `}` is put in by the indentation of the whole text, so then everything is read again.
"""

from __future__ import annotations

from bisect import bisect_left

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.source import whole_span
from dsd_lang.syntax import nodes
from dsd_lang.syntax.brackets import lacks_closing
from dsd_lang.syntax.moving import Move
from dsd_lang.syntax.notes import Kept, Notes
from dsd_lang.syntax.parser import Head, ParseResult, Stretch, parse, parse_stretch
from dsd_lang.syntax.token_runs import TokenRuns, runs_of

MAX_KEPT_TOKENS = 100_000  # far below the lexer's own limit, which applies to a whole text


class Reading:
    """A text and what was parsed of it; ``sound`` is the last version without a mistake, which may be this one.

    ``notes`` are what others found out about its nodes.
    """

    __slots__ = ("_earlier_sound", "notes", "parsed", "text")

    def __init__(self, text: str, parsed: ParseResult, earlier: Reading | None, notes: Notes | None = None) -> None:
        self.text = text
        self.parsed = parsed
        self.notes = notes or Notes()
        self._earlier_sound = None if self.is_sound or earlier is None else earlier.sound

    @property
    def is_sound(self) -> bool:
        """Whether the text was read without a mistake."""
        return not self.parsed.diagnostics and not self.parsed.broken

    @property
    def sound(self) -> Reading | None:
        """This version or the last one before it that was read without a mistake."""
        return self if self.is_sound else self._earlier_sound


def read(text: str, before: Reading | None = None) -> Reading:
    """Parses a text; ``before`` is the result for an earlier version."""
    base = None if before is None else before.sound or before
    if base is None or len(base.parsed.tokens) > MAX_KEPT_TOKENS or lacks_closing(base.text) or lacks_closing(text):
        return Reading(text, _in_runs(parse(text)), before)
    num_same = _length_of_the_same(base.text, text)
    head = _head(base, num_same)
    parts = _Parts(base, head, text, num_same) if isinstance(base.parsed.tokens, TokenRuns) else None
    parsed = None if parts is None else parts.joined()
    if parts is not None and parsed is not None:
        return Reading(text, parsed, None, Notes(base.notes, parts.kept()))
    notes = None if head is None else Notes(base.notes, Kept(head.end.start, len(text) + 1, Move(0, 0)))
    return Reading(text, _in_runs(parse(text, after=head)), before, notes)


def _in_runs(parsed: ParseResult) -> ParseResult:
    """The same with its tokens in runs, if it has statements and no mistake."""
    statements = parsed.program.statements
    if parsed.diagnostics or parsed.broken or not statements:
        return parsed
    return ParseResult(parsed.program, (), (), TokenRuns(runs_of(parsed.tokens, statements)))


def _head(before: Reading, num_same: int) -> Head | None:
    """The statements before the last one that ends before the change; None if nothing can be reused."""
    program, tokens = before.parsed.program, before.parsed.tokens
    last = bisect_left(program.statements, num_same, key=lambda statement: statement.span.end) - 1
    if last < 1:
        return None
    end = program.statements[last].span
    if isinstance(tokens, TokenRuns):
        tokens = TokenRuns(tokens.runs[:last])
        separator = tokens.runs[-1].tokens[-1]
    else:
        tokens = tokens[: bisect_left(tokens, end.start, key=lambda token: token.span.start)]
        separator = tokens[-1]
    is_separated = separator.kind == "_SEPARATOR" and bool(separator.text)
    if not is_separated or any(diagnostic.span.start <= end.start for diagnostic in before.parsed.diagnostics):
        return None
    return Head(end, program.statements[:last], program.comments[: _num_comments(program, end.start)], tokens)


def _num_comments(program: nodes.Program, offset: int) -> int:
    """How many comments are before an offset."""
    return bisect_left(program.comments, offset, key=lambda comment: comment.span.start)


class _Parts:
    """A version of a text as the head and the tail of an earlier one, with a middle that is read again."""

    def __init__(self, base: Reading, head: Head | None, text: str, num_same: int) -> None:
        self.before = base.parsed.program
        self.tokens = base.parsed.tokens
        self.head = head
        self.text = text
        self.move = Move(0, len(text) - len(base.text))
        behind = len(base.text) - _length_of_the_same(base.text[num_same:][::-1], text[num_same:][::-1])
        statements = self.before.statements
        self.tail = bisect_left(statements, behind, key=lambda statement: _line_start(statement.span))
        self.is_without_tail = self.tail == len(statements)
        self.end = len(text) if self.is_without_tail else statements[self.tail].span.start + self.move.offsets

    def joined(self) -> ParseResult | None:
        """All parts; None if the middle has a mistake or does not end between two statements."""
        middle = parse_stretch(self.text, None if self.head is None else self.head.end, self.end)
        if middle is None:
            return None
        if not self.is_without_tail:
            first = self.before.statements[self.tail].span
            if not middle.is_separated or middle.end_column != first.column:
                return None
            self.move = self.move._replace(lines=middle.end_line - first.line)
        statements = self.statements(middle)
        program = nodes.Program(statements, self.comments(middle), whole_span(self.text))
        return ParseResult(program, (), (), self.runs(middle)) if statements else None

    def statements(self, middle: Stretch) -> tuple[nodes.Statement, ...]:
        head = () if self.head is None else self.head.statements
        tail: tuple[nodes.Statement, ...] = self.move.of(self.before.statements[self.tail :])
        return (*head, *middle.statements, *tail)

    def comments(self, middle: Stretch) -> tuple[nodes.Comment, ...]:
        head = () if self.head is None else self.head.comments
        first = _num_comments(self.before, self.end - self.move.offsets)
        tail: tuple[nodes.Comment, ...] = () if self.is_without_tail else self.move.of(self.before.comments[first:])
        return (*head, *middle.comments, *tail)

    def runs(self, middle: Stretch) -> TokenRuns:
        assert isinstance(self.tokens, TokenRuns), "a text without a mistake has runs"
        head = () if self.head is None else self.tokens.runs[: len(self.head.statements)]
        read = middle.tokens if self.is_without_tail else middle.tokens[:-1]  # `$END` is in the tail
        between = runs_of(read, middle.statements) if middle.statements else []
        return TokenRuns((*head, *between, *self.tokens.behind(self.tail, self.move)))

    def kept(self) -> Kept:
        """Which notes of the earlier version still hold."""
        head_end = 0 if self.head is None else self.head.end.start
        return Kept(head_end, len(self.text) + 1 if self.is_without_tail else self.end, self.move)


def _line_start(span: Span) -> int:
    return span.start - span.column + 1


def _length_of_the_same(left: str, right: str) -> int:
    """The length of the common prefix of two texts."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
