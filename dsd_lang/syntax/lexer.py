"""Splits a text into tokens: the loop over the text, its lines, punctuation and comments.

Words, literals and foreign signs are read by word_tokens.py, literal_tokens.py and sign_tokens.py. Mistakes are
reported and repaired at once, so that the parser always gets balanced brackets and each mistake gives one diagnostic.
"""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.brackets import CLOSES, OPENS, Brackets, Output, partner
from dsd_lang.syntax.literal_tokens import LiteralTokens
from dsd_lang.syntax.nodes import Comment
from dsd_lang.syntax.sign_tokens import Handler, SignTokens
from dsd_lang.syntax.table import Table
from dsd_lang.syntax.terminals import MAX_ERRORS, MAX_STEPS, MAX_TOKENS, PATTERN_OPENERS, Tokens, widened
from dsd_lang.syntax.word_tokens import WordTokens

_TEXTS = {"LPAR": "( )", "LSQB": "[ ]"}
_NEWLINE_CONTINUES = frozenset({"COMMA", "ARROW", "_SEPARATOR", "LBRACE", ""})
_LINE_END = re.compile("\r\n|\n|\r")
_BLANKS = re.compile("[ \t]*")
_WHOLE = r"\d+(?![\w.%])"


class Lexer:
    """One pass over a text, or over its rest from a statement outside of all brackets."""

    def __init__(
        self, text: str, table: Table, master: re.Pattern[str], *, start: int = 0, line: int = 1, line_start: int = 0
    ) -> None:
        self.text = text
        self.start = start
        self.master = master
        self.marks = table.marks
        self.output = Output()
        self.brackets = Brackets(text, self.output)
        self.comments: list[Comment] = []
        self.line = line
        self.line_start = line_start
        self.indent = self._indent_at(line_start)
        self.continued: Span | None = None  # a `\` that should be followed by the end of its line
        self.stopped = False
        self.as_braces: set[int] = set()  # offsets where a `]` or `)` closes what should be a block
        self.handlers: dict[str, Handler] = {
            "MARK": self._mark,
            "NEWLINE": self._newline,
            "SEMICOLON": self._semicolon,
            "COMMENT": self._comment,
            "WRONG_COMMENT": self._wrong_comment,
            "WRONG_STRING": self._wrong_comment,
            "CONTINUED": self._continued,
        }
        self.literals = LiteralTokens(text, table, self.output)
        self.signs = SignTokens(text, table, master, self.output, self.handlers)
        words = WordTokens(text, table, self.output, self.brackets)
        self.handlers |= {
            "NAME": words.word,
            "WORD": words.word,
            "DOTTED": words.word,
            "REFERENCE": words.reference,
            "ARM": words.arm,
            "LENGTH": self.literals.number,
            "NUMBER": self.literals.number,
            "WRONG_NUMBER": self.literals.wrong_number,
            "OPEN_STRING": self.literals.open_string,
            "UNKNOWN": self.signs.unknown,
        }

    def run(self) -> Tokens:
        """Reads the tokens in one loop; a handler returns where the next token may start."""
        text, match, handlers, output = self.text, self.master.match, self.handlers, self.output
        tokens, diagnostics, new = output.tokens, output.diagnostics, tuple.__new__
        position = self.start
        for step in range(MAX_STEPS + 1):
            if self.stopped or len(diagnostics) > MAX_ERRORS:
                break
            if len(tokens) > MAX_TOKENS or step == MAX_STEPS:
                self._too_large(position)
                break
            found = match(text, position)
            if found is None or found.lastgroup is None:
                raise AssertionError("the pattern ends in any character and the end of the text")
            kind = found.lastgroup
            if kind == "END":
                break
            start, end = found.span(kind)
            line, column = self.line, start - self.line_start + 1
            span = new(Span, (line, column, line, column + end - start, start, end))
            if self.continued is not None and kind not in ("NEWLINE", "COMMENT"):
                self._stray_continuation(self.continued)
            handler = handlers.get(kind)
            # COMPARATOR, ARROW and STRING need no handler
            position = output.add(kind, found[kind], span) if handler is None else handler(found[kind], span)
        self.stopped = self.stopped or len(diagnostics) > MAX_ERRORS
        if self.continued is not None:
            self._stray_continuation(self.continued)
        self.brackets.finish(is_quiet=self.stopped)
        output.insert("$END")
        return Tokens(tokens, self.comments, diagnostics, self.stopped, text, self.signs.unread)

    def _too_large(self, position: int) -> None:
        column = position - self.line_start + 1
        self.output.report(
            "DSD405",
            f"the schedule is too large: it has more than {MAX_TOKENS:,} words and marks",
            Span(self.line, column, self.line, column, position, position),
            help="nothing after this was read; say it with `repeat` or `for`",
        )
        self.stopped = True

    # --- marks -------------------------------------------------------------------------------------------------------

    def _mark(self, text: str, span: Span) -> int:
        kind = self.marks[text]
        if kind == "COLON" and self.text[span.end : span.end + 1].isdecimal() and self.output.is_in_values:
            kind = "RATIO"
        if kind == "DOTS" and not self.output.is_in_values:
            return self.signs.unknown(".", widened(span, 1))
        if kind in ("LPAR", "LSQB") and self._opens_block(kind, span):
            kind = "LBRACE"
        elif span.start in self.as_braces:
            kind = "RBRACE"
        if kind == "SLASH" and self.output.previous in PATTERN_OPENERS:
            return self.literals.regular_expression(span)
        if kind in OPENS:
            if kind == "LBRACE" and self.brackets.in_parentheses:
                self.brackets.end_parentheses()
            self.stopped = not self.brackets.open(kind, span, self.indent)
            return span.end
        if kind in CLOSES:
            return self.brackets.close(kind, span, self.indent if self._is_first_on_line(span) else None)
        return self.output.add(kind, text, span)

    def _opens_block(self, kind: str, span: Span) -> bool:
        """Whether `fork [` or `repeat 3 (` is meant as a block; reports it, with both brackets."""
        tokens = self.output.tokens
        previous = self.output.previous
        is_counted = previous == "NUMBER" and len(tokens) > 1 and tokens[-2].kind == "REPEAT"
        is_branch = (
            previous == "COLON"
            and len(tokens) > 1
            and tokens[-2].kind == "LABEL"
            and self.brackets.innermost == "LBRACE"
        )
        if previous != "FORK" and not is_counted and not is_branch:
            return False
        closing = partner(self.text, span.start)
        if closing is None:
            return False
        self.as_braces.add(closing)
        ends = list(_LINE_END.finditer(self.text, span.end, closing))
        column = span.column + closing - span.start if not ends else closing - ends[-1].end() + 1
        line = span.line + len(ends)
        other = Span(line, column, line, column + 1, closing, closing + 1)
        self.output.report(
            "DSD101",
            f"a block is written in `{{ }}`, not in `{_TEXTS[kind]}`",
            span,
            label="write `{`",
            fix=Fix("write `{ }`", (Edit(span, "{"), Edit(other, "}"))),
        )
        return True

    # --- lines and comments -------------------------------------------------------------------------------------------

    def _newline(self, text: str, span: Span) -> int:
        ends = _LINE_END.findall(text) if len(text) > 1 else text
        self.line += len(ends)
        self.line_start = span.end
        self.indent = self._indent_at(span.end)
        if self.continued is not None:
            self.continued = None
        elif self.brackets.in_parentheses:
            self.brackets.newline_skipped = True
        elif self.output.previous not in _NEWLINE_CONTINUES:
            point = Span(span.line, span.column, span.line, span.column + 1, span.start, span.start + 1)
            self.output.add("_SEPARATOR", "\n", point)
        return span.end

    def _semicolon(self, text: str, span: Span) -> int:
        if self._is_in_pattern(span):
            self.output.report(
                "DSD101",
                "the target `N:M` is written with `:`, and a `;` begins the next phase",
                span,
                label="write `:`",
                fix=Fix("write `:`", (Edit(span, ":"),)),
            )
            return self.output.add("COLON", ":", span)
        if self.brackets.in_parentheses:
            self.brackets.newline_skipped = False
            self.brackets.end_parentheses()
        if self.output.previous not in ("_SEPARATOR", "LBRACE", ""):
            self.output.add("_SEPARATOR", ";", span)
        return span.end

    def _is_in_pattern(self, span: Span) -> bool:
        """Whether a `;` is between two numbers of a target: `sparse 2;4`."""
        tokens = self.output.tokens
        return (
            len(tokens) > 1
            and (tokens[-2].kind, tokens[-1].kind) == ("SPARSE", "NUMBER")
            and tokens[-1].text.isdigit()
            and tokens[-1].span.end == span.start
            and re.compile(_WHOLE).match(self.text, span.end) is not None
        )

    def _comment(self, text: str, span: Span) -> int:
        self.comments.append(Comment(text, self._is_first_on_line(span), span))
        return span.end

    def _wrong_comment(self, text: str, span: Span) -> int:
        from dsd_lang.syntax.foreign_comments import read_comment

        end, diagnostic = read_comment(self.text, text, span)
        self.output.diagnostics.append(diagnostic)
        for line_end in _LINE_END.finditer(self.text, span.start, end):
            self.line, self.line_start = self.line + 1, line_end.end()
            self.indent = self._indent_at(line_end.end())
        return end

    def _continued(self, text: str, span: Span) -> int:
        end = self.signs.command(span)
        if end is not None:
            return end
        self.continued = span
        return span.end

    def _stray_continuation(self, span: Span) -> None:
        self.output.report(
            "DSD101",
            "`\\` joins a line to the next one, so it must be the last thing on its line",
            span,
            fix=Fix("leave out the `\\`", (Edit(span, ""),)),
        )
        self.continued = None

    # --- small things -------------------------------------------------------------------------------------------------

    def _indent_at(self, position: int) -> int:
        return _BLANKS.match(self.text, position).end() - position  # type: ignore[union-attr]

    def _is_first_on_line(self, span: Span) -> bool:
        return span.column - 1 == self.indent
