"""Splits a text into tokens: handles newlines, reserved words, brackets and comments.

What goes wrong here is reported and mended on the spot (brackets.py, number_tokens.py, lookalikes.py), so that the
parser always sees balanced brackets and one mistake gives one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.units import exact
from dsd_lang.syntax.brackets import CLOSES, OPENS, Brackets, Output, partner
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

if TYPE_CHECKING:
    from dsd_lang.syntax.lookalikes import Sign

_BLOCK_WORDS = frozenset({"REPEAT", "FOR", "SWEEP", "FORK"})
_LINE_ENDS = re.compile("[ \t]*(?:#|[\r\n]|\\Z)")
MAX_REPEATED = 50
_TEXTS = {"LPAR": "( )", "LSQB": "[ ]"}
_REGEX_MAY_FOLLOW = frozenset({"EQUAL", "COMMA", "LSQB"})
_NEWLINE_CONTINUES = frozenset({"COMMA", "ARROW", "_SEPARATOR", "LBRACE", ""})
_LINE_END = re.compile("\r\n|\n|\r")
_BLANKS = re.compile("[ \t]*")
_LINE = re.compile("[^\r\n]*")
_SELECTORS = re.compile("[ \t]*(?::[ \t]*|[ \t]+)(?=[A-Za-z\"'])")
_MODULE = re.compile(r"\w+(?:\.\w+)*\.\d\w*(?:\.\w+)*(?![\w.])")
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
        self.read_words: set[str] = set()  # those that have been looked at, and are what they are
        self.repeated: dict[str, int] = {}  # what was said of a sign, and where among the diagnostics
        self.unread: list[int] = []  # signs that nothing was read for
        self.as_braces: set[int] = set()  # where a `]` or `)` closes what should be a block
        self.handlers: dict[str, Callable[[str, Span], int]] = {
            "NAME": self._word,
            "WORD": self._word,
            "DOTTED": self._word,
            "LENGTH": self._number,
            "NUMBER": self._number,
            "REFERENCE": self._reference,
            "WRONG_NUMBER": self._wrong_number,
            "MARK": self._mark,
            "NEWLINE": self._newline,
            "SEMICOLON": self._semicolon,
            "COMMENT": self._comment,
            "WRONG_COMMENT": self._wrong_comment,
            "WRONG_STRING": self._wrong_comment,
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
            # a COMPARATOR, an ARROW, and a STRING have no handler: they are what they are
            position = output.add(kind, found[kind], span) if handler is None else handler(found[kind], span)
        self.stopped = self.stopped or len(diagnostics) > MAX_ERRORS
        if self.continued is not None:
            self._stray_continuation()
        self.brackets.finish(is_quiet=self.stopped)
        output.insert("$END")
        return Tokens(tokens, self.comments, diagnostics, self.stopped, text, self.unread)

    def _too_large(self, position: int) -> None:
        column = position - self.line_start + 1
        self.output.report(
            "DSD405",
            f"the schedule is too large: it has more than {MAX_TOKENS:,} words and marks",
            Span(self.line, column, self.line, column, position, position),
            help="nothing after this was read; say it with `repeat` or `for`",
        )
        self.stopped = True

    # --- words and numbers --------------------------------------------------------------------------------------------

    def _word(self, text: str, span: Span) -> int:
        keyword = self.keywords.get(text)
        if keyword is not None:
            return self._keyword(keyword, text, span)
        if not (text.islower() and text.isascii()) and text not in self.read_words and self._may_be_foreign(text):
            from dsd_lang.syntax.foreign_letters import read_word

            meant = read_word(self.text, text, span, self.keywords, self.output.previous)
            if meant is not None:
                self.output.diagnostics.append(meant.diagnostic)
                is_number = meant.word[0].isdigit()
                return self.output.add("NUMBER", meant.word, span) if is_number else self._word(meant.word, span)
            self.read_words.add(text)
        if self.text[span.end : span.end + 1] == "." and self.output.previous in _REGEX_MAY_FOLLOW:
            end = self._module_name(span)
            if end:
                return end
        kind = "DOTTED" if "." in text else "NAME"
        if not text.isascii():
            text = self._plain_word(kind, text, span)
        if kind == "NAME":
            after = self._after(span.end)
            if after == ":" and self.brackets.innermost != "LSQB":
                if self.brackets.innermost == "LPAR":
                    self.brackets.end_parentheses()
                kind = "LABEL"
            elif after == "=" and self._takes_selectors(text) and self._after(span.end, skip=1) != "=":
                kind = "SELECTING"
            if text in SELECTING_WORDS and kind != "SELECTING" and not self.brackets.in_parentheses:
                return self._selecting_without_equals(text, span)
        return self.output.add(kind, text, span)

    def _may_be_foreign(self, text: str) -> bool:
        """Whether it is a reserved word but for its capitals, or has letters of another alphabet."""
        return not text.isascii() or text.lower() in self.keywords

    def _selecting_without_equals(self, text: str, span: Span) -> int:
        """`layers fc`, `layers: fc`: the sign between the two is not there, or another."""
        found = _SELECTORS.match(self.text, span.end)
        if found is None:
            return self.output.add("NAME", text, span)
        gap = widened(self._behind(span, span.end), found.end() - span.end)
        self.output.report(
            "DSD101",
            f"the argument `{text}` needs a `=` before its value",
            span,
            label="an `=` is missing after this" if ":" not in found[0] else f"write `{text}=`",
            fix=Fix("put in the `=`", (Edit(gap, "="),)),
        )
        self.output.add("SELECTING", text, span)
        return self.output.add("EQUAL", "", gap)

    def _module_name(self, span: Span) -> int:
        """`layers=features.0`: a name with a number in it, as modules have; it is read as a string."""
        found = _MODULE.match(self.text, span.start)
        if found is None:
            return 0
        whole = widened(span, len(found[0]))
        better = f'"{found[0]}"'
        self.output.report(
            "DSD201",
            f"`{clipped(found[0])}` is the name of a module, which is written in quotes",
            whole,
            label=f"write `{clipped(better)}`",
            help='a `*` stands for any part of it: `"features.*"`',
            fix=replacement(whole, better),
        )
        return self.output.add("STRING", better, whole)

    def _plain_word(self, kind: str, text: str, span: Span) -> str:
        """A word with the digits 0 to 9 in place of others, which are reported; letters are left as they are."""
        from dsd_lang.syntax.number_tokens import plain_digits, with_plain_digits

        plain = plain_digits(text)
        if plain != text:
            self.output.diagnostics.append(with_plain_digits(Token(kind, text, span))[1])
        return plain

    def _reference(self, text: str, span: Span) -> int:
        plain = text if text.isascii() else self._plain_word("REFERENCE", text, span)
        return self.output.add("REFERENCE", plain, span)

    def _takes_selectors(self, name: str) -> bool:
        """Whether an argument takes selectors: `layers`, `except`, or what must be meant for one of them."""
        if name in SELECTING_WORDS:
            return True
        if name in BY_NAME or self.brackets.in_parentheses:
            return False
        from dsd_lang.base.foreign_words import ARGUMENTS

        meant = ARGUMENTS.get(name.lower())  # reported as an unknown argument later
        return meant.word in SELECTING_WORDS if meant is not None else nearest(name, SELECTING_WORDS) is not None

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
        if kind in _BLOCK_WORDS and _LINE_ENDS.match(self.text, colon):
            return self.output.add(kind, text, span)  # `fork:`, a block as in Python: the parser says so
        follows = _FOLLOWING.match(self.text, colon)
        if follows is not None and follows[1] == "{" and kind in ("DENSE", "SPARSE"):
            self.output.add(kind, text, span)
            return colon  # `dense: {epochs: 50}`: the parser says that a phase has no block
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
        if text[0] == "." and self.output.previous == "REFERENCE" and self.output.tokens[-1].span.end == span.start:
            return self._bare_moment(text, span)
        kind = "LENGTH" if text[-1] in "pt" else "NUMBER"
        if not text.isascii():
            from dsd_lang.syntax.number_tokens import with_plain_digits

            return self.output.mended(*with_plain_digits(Token(kind, text, span)))
        if text not in self.read_numbers:
            try:
                exact(text[:-2] if kind == "LENGTH" else text)
            except ValueError:
                from dsd_lang.syntax.number_tokens import out_of_range

                return self.output.mended(*out_of_range(text, Token(kind, text, span)))
            self.read_numbers.add(text)
        return self.output.add(kind, text, span)

    def _bare_moment(self, text: str, span: Span) -> int:
        """`@a.1000`: a moment within a phase without its unit."""
        before = self.output.tokens[-1]
        whole, written = before.span.to(span), f"{before.text}{text}"
        self.output.take_back()
        self.output.report(
            "DSD203",
            f"`{clipped(written)}` has no unit",
            whole,
            label=f"did you mean `{clipped(written)}it`?",
            help="a moment within a phase is a length: `@label.500it`, `@label.3ep`",
            fix=replacement(whole, f"{written}it"),
        )
        return self.output.add("REFERENCE", f"{written}it", whole)

    def _wrong_number(self, text: str, span: Span) -> int:
        from dsd_lang.syntax.number_tokens import mend_number

        return self.output.mended(*mend_number(self.text, text, span))

    # --- marks -------------------------------------------------------------------------------------------------------

    def _mark(self, text: str, span: Span) -> int:
        kind = self.marks[text]
        if kind in ("LPAR", "LSQB") and self._opens_block(kind, span):
            kind = "LBRACE"
        elif span.start in self.as_braces:
            kind = "RBRACE"
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

    def _opens_block(self, kind: str, span: Span) -> bool:
        """Whether `fork [` or `repeat 3 (` is meant for a block; reports it, with both brackets."""
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
            f"a block stands in `{{ }}`, not in `{_TEXTS[kind]}`",
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
        from dsd_lang.syntax.foreign_comments import read_comment

        end, diagnostic = read_comment(self.text, text, span)
        self.output.diagnostics.append(diagnostic)
        for line_end in _LINE_END.finditer(self.text, span.start, end):
            self.line, self.line_start = self.line + 1, line_end.end()
            self.indent = self._indent_at(line_end.end())
        return end

    def _continued(self, text: str, span: Span) -> int:
        if self.text[span.end : span.end + 1] not in ("", " ", "\t", "\r", "\n"):
            from dsd_lang.syntax.lookalikes import read_command

            sign = read_command(self.text, span, self.marks, self._beside(span))
            if sign is not None:
                return self._read(sign)
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
                label="the closing `/` is missing",
                fix=Fix("put in the `/`", (closing,)) if body else None,
            )
            return self.output.add("REGEX", f"/{re.escape(body[:100]) or '.'}/", whole)
        from dsd_lang.base.patterns import PatternError, regular_expression

        whole = widened(span, len(found[0]))
        try:
            regular_expression(found[0][1:-1])
        except PatternError as error:
            message = f"`{clipped(found[0])}` is not a regular expression: {error.message}"
            self.output.report("DSD101", message, whole, help=error.help or "")
            return self.output.add("REGEX", "/./", whole)
        return self.output.add("REGEX", found[0], whole)

    def _open_string(self, text: str, span: Span) -> int:
        quote = widened(span, 1)
        end = span.start + len(text.rstrip())
        self.output.report(
            "DSD104",
            f"the string is never closed: its second `{text[0]}` is missing",
            quote,
            label="a string ends on the line where it began",
            fix=Fix(f"put in the `{text[0]}`", (Edit(self._behind(span, end), text[0]),)),
        )
        return self.output.add("STRING", text + text[0], span)

    def _unknown(self, text: str, span: Span) -> int:
        from dsd_lang.syntax.lookalikes import read_sign

        return self._read(read_sign(self.text, text, span, self.marks, self._beside(span)))

    def _beside(self, span: Span) -> Token | None:
        """The token that ends where this begins; for a number, blanks may stand between."""
        before = self.output.tokens[-1] if self.output.tokens else None
        if before is None or before.span.end_line != span.line:
            return None
        gap = self.text[before.span.end : span.start]
        return (
            before
            if not gap or (before.kind == "NUMBER" and not gap.strip() and self.text[span.start] in "×·⋅∙%\\")
            else None
        )

    def _report_sign(self, diagnostic: Diagnostic, *, is_unread: bool) -> None:
        """One more diagnostic; a character that was reported before is added to the fix of the first."""
        if is_unread:
            self.unread.append(diagnostic.span.start)
        diagnostics = self.output.diagnostics
        first = self.repeated.get(diagnostic.message) if diagnostic.fix is not None else None
        if first is None or diagnostic.fix is None:
            self.repeated[diagnostic.message] = len(diagnostics)
            diagnostics.append(diagnostic)
            return
        before = diagnostics[first]
        if before.fix is None or len(before.fix.edits) > MAX_REPEATED:
            return
        fix = Fix(before.fix.message, before.fix.edits + diagnostic.fix.edits)
        label = before.label.removesuffix(", here and below") + ", here and below"
        diagnostics[first] = Diagnostic(before.code, before.message, before.span, label, before.help, fix)

    def _read(self, sign: Sign) -> int:
        """What was meant by a sign that the language does not have."""
        if sign.diagnostic is not None:
            self._report_sign(
                sign.diagnostic, is_unread=sign.token is None and bool(self.text[sign.diagnostic.span.start].strip())
            )
        if sign.replaces:
            self.output.take_back()
        token = sign.token
        if token is None:
            return sign.end
        if sign.joined:
            found = self.master.match(sign.joined)
            kind = found.lastgroup if found is not None and found.end() == len(sign.joined) else None
            handler = self.handlers.get(kind or "")
            if kind is None or handler is None or not token.text.strip():
                self.output.add("NAME", sign.joined, token.span)
            else:
                handler(sign.joined, token.span)
            return sign.end
        if token.kind == "MARK":
            self._mark(token.text, token.span)
        else:
            self.output.add(*token)
        return sign.end

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
