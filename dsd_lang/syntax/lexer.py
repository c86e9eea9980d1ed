"""Text in, tokens out: newlines given their meaning, reserved words reserved, brackets balanced, comments set aside.

What goes wrong here is reported and mended on the spot (brackets.py, number_tokens.py, lookalikes.py), so that the
parser always sees balanced brackets and one mistake gives one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.units import exact
from dsd_lang.syntax.brackets import CLOSES, OPENS, Brackets, Output
from dsd_lang.syntax.nodes import Comment
from dsd_lang.syntax.table import Table
from dsd_lang.syntax.terminals import (
    MAX_ERRORS,
    MAX_STEPS,
    MAX_TOKENS,
    SELECTING_WORDS,
    STATEMENT_WORDS,
    Token,
    Tokens,
    clipped,
    widened,
)

_REGEX_MAY_FOLLOW = frozenset({"EQUAL", "COMMA", "LSQB"})
_NEWLINE_CONTINUES = frozenset({"COMMA", "ARROW", "_SEPARATOR", "LBRACE", ""})
_LINE_END = re.compile("\r\n|\n|\r")
_BLANKS = re.compile("[ \t]*")
_LINE = re.compile("[^\r\n]*")
_FOLLOWING = re.compile(r"[ \t]*(\w+|\{)?")


class Lexer:
    """One pass over a text, or over the rest of one from where a statement begins outside of all brackets."""

    def __init__(
        self, text: str, table: Table, master: re.Pattern[str], *, start: int = 0, line: int = 1, line_start: int = 0
    ) -> None:
        self.text = text
        self.start = start
        self.master = master
        self.keywords = table.keywords
        self.marks = table.marks
        self.regex = re.compile(table.patterns["REGEX"])
        self.output = Output()
        self.brackets = Brackets(text, self.output)
        self.comments: list[Comment] = []
        self.line = line
        self.line_start = line_start
        self.indent = self._indent_at(line_start)
        self.continued: Span | None = None  # a `\` that waits for the end of its line
        self.stopped = False
        self.read_numbers: set[str] = set()
        self.handlers: dict[str, Callable[[str, Span], int]] = {
            "NAME": self._word,
            "WORD": self._word,
            "DOTTED": self._word,
            "LENGTH": self._number,
            "NUMBER": self._number,
            "WRONG_NUMBER": self._wrong_number,
            "MARK": self._mark,
            "NEWLINE": self._newline,
            "SEMICOLON": self._semicolon,
            "COMMENT": self._comment,
            "WRONG_COMMENT": self._wrong_comment,
            "OPEN_STRING": self._open_string,
            "CONTINUED": self._continued,
            "UNKNOWN": self._unknown,
        }

    def run(self) -> Tokens:
        """The tokens, in one loop; a handler returns where the next token may start."""
        text, match, handlers, output = self.text, self.master.match, self.handlers, self.output
        tokens, diagnostics = output.tokens, output.diagnostics
        position = self.start
        steps = iter(range(MAX_STEPS))
        while not self.stopped and len(diagnostics) <= MAX_ERRORS:
            if len(tokens) > MAX_TOKENS or next(steps, None) is None:
                self._too_large(position)
                break
            found = match(text, position)
            if found is None or found.lastgroup is None:
                raise AssertionError("the pattern ends in any character and the end of the text")
            kind = found.lastgroup
            if kind == "END":
                break
            start, end = found.span(kind)
            column = start - self.line_start + 1
            span = Span(self.line, column, self.line, column + end - start, start, end)
            if self.continued is not None and kind not in ("NEWLINE", "COMMENT"):
                self._stray_continuation()
            handler = handlers.get(kind)
            # a COMPARATOR, an ARROW, a STRING and a REFERENCE have no handler: they are what they are
            position = output.add(kind, found[kind], span) if handler is None else handler(found[kind], span)
        self.stopped = self.stopped or len(diagnostics) > MAX_ERRORS
        if self.continued is not None:
            self._stray_continuation()
        self.brackets.finish(is_quiet=self.stopped)
        output.insert("$END")
        return Tokens(tokens, self.comments, diagnostics, self.stopped)

    def _too_large(self, position: int) -> None:
        column = position - self.line_start + 1
        self.output.report(
            "DSD405",
            f"the schedule is too large: it has more than {MAX_TOKENS:,} words and marks",
            Span(self.line, column, self.line, column, position, position),
            help="nothing after this place was read; say it with `repeat` or `for`",
        )
        self.stopped = True

    # --- words and numbers --------------------------------------------------------------------------------------------

    def _word(self, text: str, span: Span) -> int:
        keyword = self.keywords.get(text)
        if keyword is not None:
            return self._keyword(keyword, text, span)
        kind = "DOTTED" if "." in text else "NAME"
        if kind == "NAME":
            after = self._after(span.end)
            if after == ":" and self.brackets.innermost != "LSQB":
                if self.brackets.innermost == "LPAR":
                    self.brackets.end_parentheses()
                kind = "LABEL"
            elif after == "=" and self._takes_selectors(text) and self._after(span.end, skip=1) != "=":
                kind = "SELECTING"
        return self.output.add(kind, text, span)

    def _takes_selectors(self, name: str) -> bool:
        """Whether an argument takes selectors: `layers`, `except`, or what must be meant for one of them."""
        if name in SELECTING_WORDS:
            return True
        if name in BY_NAME or self.brackets.in_parentheses:
            return False
        return nearest(name, SELECTING_WORDS) is not None  # reported as an unknown argument later

    def _keyword(self, kind: str, text: str, span: Span) -> int:
        after = self._after(span.end)
        if text == "set" and after == "(":  # `update=set(drop=30%)`: the one reserved word that is also a method
            return self.output.add("NAME", text, span)
        if after == "=" and self._after(span.end, skip=1) != "=":
            advice = {
                "until": "a condition has no `=`: write `until val.err < 10%`",
                "set": "settings are written `set lr=1e-3`",
            }
            self.output.report(
                "DSD103",
                f"the reserved word `{text}` cannot be the name of an argument",
                span,
                label="leave the `=` out" if text == "until" else "",
                help=advice.get(text, ""),
                fix=self._without_equals(span) if text == "until" else None,
            )
            return self.output.add("NAME", text, span)
        if after == ":" and not self.brackets.in_parentheses:
            return self._reserved_label(kind, text, span)
        if kind in STATEMENT_WORDS and self.brackets.in_parentheses:
            self.brackets.end_parentheses()
        return self.output.add(kind, text, span)

    def _reserved_label(self, kind: str, text: str, span: Span) -> int:
        colon = self.text.index(":", span.end) + 1
        follows = _FOLLOWING.match(self.text, colon)
        labels = follows is not None and (follows[1] == "{" or self.keywords.get(follows[1]) is not None)
        example = f"`{text} ...`, or with a label `{text}_1: {text} ...`"
        if labels and follows is not None:
            example = f"`{text}_1: {follows[1]} ...`"
        self.output.report(
            "DSD103",
            f"the reserved word `{text}` cannot be a label",
            span,
            label="choose another name" if labels else "leave the colon out",
            help=f"write {example}",
            fix=replacement(span, f"{text}_1")
            if labels
            else Fix("leave the `:` out", (Edit(widened(self._behind(span, colon - 1), 1), ""),)),
        )
        self.output.add("LABEL" if labels else kind, text, span)
        return span.end if labels else colon

    def _behind(self, span: Span, offset: int) -> Span:
        """The place at an offset further on in the line of a span."""
        column = span.column + offset - span.start
        return Span(span.line, column, span.line, column, offset, offset)

    def _without_equals(self, span: Span) -> Fix:
        """A blank in place of the `=` that follows a word."""
        place = widened(self._behind(span, span.end), self.text.index("=", span.end) + 1 - span.end)
        return Fix("leave the `=` out", (Edit(place, " "),))

    def _number(self, text: str, span: Span) -> int:
        kind = "LENGTH" if text[-1] in "pt" else "NUMBER"
        if text not in self.read_numbers:
            try:
                exact(text[:-2] if kind == "LENGTH" else text)
            except ValueError:
                from dsd_lang.syntax.number_tokens import out_of_range

                return self.output.mended(*out_of_range(text, Token(kind, text, span)))
            self.read_numbers.add(text)
        return self.output.add(kind, text, span)

    def _wrong_number(self, text: str, span: Span) -> int:
        from dsd_lang.syntax.number_tokens import mend_number

        return self.output.mended(*mend_number(self.text, text, span))

    # --- marks -------------------------------------------------------------------------------------------------------

    def _mark(self, text: str, span: Span) -> int:
        kind = self.marks[text]
        if kind == "SLASH" and self.output.previous in _REGEX_MAY_FOLLOW:
            return self._regular_expression(span)
        if kind in OPENS:
            if kind == "LBRACE" and self.brackets.in_parentheses:
                self.brackets.end_parentheses()
            self.stopped = not self.brackets.open(kind, span, self.indent)
            return span.end
        if kind in CLOSES:
            return self.brackets.close(kind, span, self.indent if self._is_first_on_line(span) else None)
        return self.output.add(kind, text, span)

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
            place = Span(span.line, span.column, span.line, span.column + 1, span.start, span.start + 1)
            self.output.add("_SEPARATOR", "\n", place)
        return span.end

    def _semicolon(self, text: str, span: Span) -> int:
        if self.brackets.in_parentheses:
            self.brackets.newline_skipped = False
            self.brackets.end_parentheses()
        if self.output.previous not in ("_SEPARATOR", "LBRACE", ""):
            self.output.add("_SEPARATOR", ";", span)
        return span.end

    def _comment(self, text: str, span: Span) -> int:
        self.comments.append(Comment(text, self._is_first_on_line(span), span))
        return span.end

    def _wrong_comment(self, text: str, span: Span) -> int:
        place = Span(span.line, span.column, span.line, span.column + 2, span.start, span.start + 2)
        self.output.report(
            "DSD101",
            "a comment starts with `#`, not with `//`",
            place,
            label="write `#`",
            fix=replacement(place, "#", "safe"),
        )
        return self._comment(text, span)

    def _continued(self, text: str, span: Span) -> int:
        self.continued = span
        return span.end

    def _stray_continuation(self) -> None:
        span = self.continued
        if span is not None:
            self.output.report(
                "DSD101",
                "`\\` joins a line to the next one, so it must be the last thing on its line",
                span,
                fix=Fix("leave out the `\\`", (Edit(span, ""),)),
            )
        self.continued = None

    # --- strings and the rest -----------------------------------------------------------------------------------------

    def _regular_expression(self, span: Span) -> int:
        found = self.regex.match(self.text, span.start)
        if found is None:
            end = _LINE.match(self.text, span.start).end()  # type: ignore[union-attr]
            body = self.text[span.start + 1 : end].split(" ", 1)[0]
            whole = widened(span, 1 + len(body))
            closing = Edit(self._behind(span, whole.end), "/")
            self.output.report(
                "DSD104",
                "the regular expression is never closed",
                span,
                label="its second `/` is missing",
                fix=Fix("put in the `/`", (closing,)) if body else None,
            )
            return self.output.add("REGEX", f"/{re.escape(body[:100]) or '.'}/", whole)
        from dsd_lang.base.patterns import PatternError, regular_expression

        whole = widened(span, len(found[0]))
        try:
            regular_expression(found[0][1:-1])
        except PatternError as error:
            message = f"`{clipped(found[0])}` is no regular expression: {error.message}"
            self.output.report("DSD101", message, whole, help=error.help or "")
            return self.output.add("REGEX", "/./", whole)
        return self.output.add("REGEX", found[0], whole)

    def _open_string(self, text: str, span: Span) -> int:
        quote = widened(span, 1)
        self.output.report(
            "DSD104",
            f"the string is never closed: its second {text[0]} is missing",
            quote,
            label="a string ends on the line where it began",
        )
        return self.output.add("STRING", text + text[0], span)

    def _unknown(self, text: str, span: Span) -> int:
        from dsd_lang.syntax.lookalikes import read_sign

        token, finding, end = read_sign(self.text, text, span, self.marks)
        if token is not None and token.kind != "MARK":
            return self.output.mended(token, finding)
        self.output.diagnostics.append(finding)
        return end if token is None else self._mark(token.text, token.span)

    # --- small things -------------------------------------------------------------------------------------------------

    def _after(self, position: int, *, skip: int = 0) -> str:
        """The next character that is no blank, or the one `skip` characters after it; empty at the end."""
        text = self.text
        here = text[position : position + 1]
        if here == " " or here == "\t":
            position = _BLANKS.match(text, position).end()  # type: ignore[union-attr]
        return text[position + skip : position + skip + 1]

    def _indent_at(self, position: int) -> int:
        return _BLANKS.match(self.text, position).end() - position  # type: ignore[union-attr]

    def _is_first_on_line(self, span: Span) -> bool:
        return span.column - 1 == self.indent
