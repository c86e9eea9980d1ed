"""Reads words: reserved words, names, labels, names of arguments, references.

The category of a word depends on its context: `set` is a statement and a method, and `a:` is a label only in a block. A
word that is invalid in its context is reported and read as what it most likely means.
"""

from __future__ import annotations

import re

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax.brackets import Brackets, Output
from dsd_lang.syntax.table import Table
from dsd_lang.syntax.terminals import (
    BLOCK_WORDS,
    SELECTING_WORDS,
    SOFT_WORDS,
    STATEMENT_STARTS,
    STATEMENT_WORDS,
    VALUE_OPENERS,
    Token,
    clipped,
    point_in_line,
    widened,
)

_BLANKS = re.compile("[ \t]*")
_LINE_ENDS = "[ \t]*(?:#|[\r\n]|\\Z)"
_SELECTORS = "[ \t]*(?::[ \t]*|[ \t]+)(?=[A-Za-z\"'])"
_MODULE = r"\w+(?:\.\w+)*\.\d\w*(?:\.\w+)*(?![\w.])"
_HALF_PATTERN = r"[ \t]+:(\d+)(?![\w.%])"
_FOLLOWING = r"[ \t]*(\w+|\{)?"
_DEFINITION = r"(?m)(?:^|[;{}\r])[ \t]*(?:def[ \t]+[\w\\]|use[ \t]*[\"'\\])"


class WordTokens:
    """The words of one text."""

    def __init__(self, text: str, table: Table, output: Output, brackets: Brackets) -> None:
        self.text = text
        self.keywords = table.keywords
        self.output = output
        self.brackets = brackets
        self.seen: set[str] = set()  # words already checked
        self._first_definition: int | None = None  # its offset, once it was looked for

    def word(self, text: str, span: Span) -> int:
        """A word of any kind."""
        keyword = self.keywords.get(text)
        if keyword is not None:
            return self._keyword(keyword, text, span)
        if not (text.islower() and text.isascii()) and text not in self.seen and self._may_be_foreign(text):
            from dsd_lang.syntax.foreign_letters import read_word

            meant = read_word(self.text, text, span, self.keywords, self.output.previous)
            if meant is not None:
                self.output.diagnostics.append(meant.diagnostic)
                is_number = meant.word[0].isdigit()
                return self.output.add("NUMBER", meant.word, span) if is_number else self.word(meant.word, span)
            self.seen.add(text)
        if self.text[span.end : span.end + 1] == "." and self.output.previous in VALUE_OPENERS:
            end = self._module_name(span)
            if end:
                return end
        kind = "DOTTED" if "." in text else "NAME"
        if kind == "DOTTED" and self.text[span.end : span.end + 1] == "(":
            from dsd_lang.syntax.foreign_calls import read_call

            called = read_call(self.text, span)
            if called is not None:
                return self.output.mended(*called)
        if not text.isascii():
            text = self._plain_word(kind, text, span)
        if kind == "NAME":
            after = self._after(span.end)
            if self._begins_statement() and (soft := self._soft_kind(text, span, after)) is not None:
                return self.output.add(soft, text, span)
            if text == "by" and after != "=" and self._is_in_range():
                return self.output.add("BY", text, span)
            if after == ":" and self.brackets.innermost != "LSQB":
                if self.brackets.innermost == "LPAR":
                    self.brackets.end_parentheses()
                kind = "LABEL"
            elif after == "=" and self._takes_selectors(text) and self._after(span.end, skip=1) != "=":
                kind = "SELECTING"
            is_argument = text in SELECTING_WORDS and self.output.previous not in VALUE_OPENERS
            if is_argument and kind != "SELECTING" and not self.brackets.in_parentheses:
                return self._selecting_without_equals(text, span)
        return self.output.add(kind, text, span)

    def _begins_statement(self) -> bool:
        """Whether a statement may begin here, also behind the label of one."""
        tokens = self.output.tokens
        previous = self.output.previous
        if previous == "COLON":
            return len(tokens) > 1 and tokens[-2].kind == "LABEL"
        return previous in STATEMENT_STARTS

    def _soft_kind(self, text: str, span: Span, after: str) -> str | None:
        """The kind of a word that is reserved only where a statement begins, or that is called there."""
        if text in SOFT_WORDS:
            return SOFT_WORDS[text] if after != ":" and (after != "(" or text == "within") else None
        return "CALLED" if after == "(" and self._is_behind_definition(span.start) else None

    def _is_behind_definition(self, offset: int) -> bool:
        """Whether a `def` or `use` is before it, so that something can be called."""
        if self._first_definition is None:
            found = re.search(_DEFINITION, self.text)
            self._first_definition = len(self.text) if found is None else found.start()
        return offset > self._first_definition

    def _is_in_range(self) -> bool:
        """Whether a `..` is before it in the same statement."""
        for token in reversed(self.output.tokens):
            if token.kind in ("DOTS", *STATEMENT_STARTS):
                return token.kind == "DOTS"
        return False

    def arm(self, text: str, span: Span) -> int:
        """`grid[25%]`; a reserved word and its list `sparse[conv: 30%]` are two."""
        name = text[: text.index("[")]
        if name in self.keywords or ":" in text:
            return self.word(name, widened(span, len(name)))
        return self.output.add("ARM", text, span)

    def reference(self, text: str, span: Span) -> int:
        """`@a.end`."""
        plain = text if text.isascii() else self._plain_word("REFERENCE", text, span)
        return self.output.add("REFERENCE", plain, span)

    def _may_be_foreign(self, text: str) -> bool:
        """Whether it is a reserved word in other capitals, or has letters of another alphabet."""
        return not text.isascii() or text.lower() in self.keywords

    def _selecting_without_equals(self, text: str, span: Span) -> int:
        """`layers fc`, `layers: fc`: the sign between the two is missing or wrong."""
        found = re.compile(_SELECTORS).match(self.text, span.end)
        if found is None:
            return self.output.add("NAME", text, span)
        gap = widened(point_in_line(span, span.end), found.end() - span.end)
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
        """`layers=features.0`: a name with a number in it, as module names have; it is read as a string."""
        found = re.compile(_MODULE).match(self.text, span.start)
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
        """A word with digits 0 to 9 instead of others, which are reported; its letters are not changed."""
        from dsd_lang.syntax.number_tokens import plain_digits, with_plain_digits

        plain = plain_digits(text)
        if plain != text:
            self.output.diagnostics.append(with_plain_digits(Token(kind, text, span))[1])
        return plain

    def _takes_selectors(self, name: str) -> bool:
        """Whether an argument takes selectors: `layers`, `except`, or a misspelling of them."""
        if name in SELECTING_WORDS:
            return True
        if name in BY_NAME or self.brackets.in_parentheses:
            return False
        from dsd_lang.base.foreign_words import FOREIGN_ARGUMENTS

        meant = FOREIGN_ARGUMENTS.get(name.lower())  # reported as an unknown argument later
        return meant.word in SELECTING_WORDS if meant is not None else nearest(name, SELECTING_WORDS) is not None

    def _is_method(self, text: str) -> bool:
        """Whether the word is a value of the argument before it: `update=set`, whose parameters are missing."""
        if self.output.previous != "EQUAL" or len(self.output.tokens) < 2:
            return False
        row = BY_NAME.get(self.output.tokens[-2].text)
        return row is not None and row.option(text) is not None

    def _keyword(self, kind: str, text: str, span: Span) -> int:
        after = self._after(span.end)
        if text == "set" and (after == "(" or self._is_method(text)):  # the one reserved word that is also a method
            return self.output.add("NAME", text, span)
        if text == "until" and after == "=" and self.brackets.in_parentheses:  # `rigl(until=75%)`, a parameter
            return self.output.add("NAME", text, span)
        if after == "=" and self._after(span.end, skip=1) != "=":
            advice = {
                "until": "a condition has no `=`: write `until val.err < 10%`",
                "set": "settings are written `set lr=1e-3`",
            }
            role = "a name" if self.output.previous == "LET" else "the name of an argument"
            self.output.report(
                "DSD103",
                f"the reserved word `{text}` cannot be {role}",
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
        if kind in BLOCK_WORDS and re.compile(_LINE_ENDS).match(self.text, colon):
            return self.output.add(kind, text, span)  # `fork:`, a block as in Python: the parser reports it
        half = re.compile(_HALF_PATTERN).match(self.text, span.end)
        if kind == "SPARSE" and half is not None:
            return self._half_pattern(half[1], span)
        follows = re.compile(_FOLLOWING).match(self.text, colon)
        if follows is not None and follows[1] == "{" and kind in ("DENSE", "SPARSE"):
            self.output.add(kind, text, span)
            return colon  # `dense: {epochs: 50}`: the parser reports that a phase has no block
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
            else Fix("leave the `:` out", (Edit(widened(point_in_line(span, colon - 1), 1), ""),)),
        )
        self.output.add("LABEL" if labels else kind, text, span)
        return span.end if labels else colon

    def _half_pattern(self, group: str, span: Span) -> int:
        """`sparse :4`: a target `N:M` without its first number."""
        begin = self.text.index(":", span.end)
        half = widened(point_in_line(span, begin), 1 + len(group))
        self.output.add("SPARSE", self.text[span.start : span.end], span)
        self.output.report(
            "DSD101",
            f"the target `:{clipped(group)}` lacks the number before its `:`",
            half,
            label="how many are kept?",
            help="`sparse 2:4` keeps 2 of every 4 weights; half of all weights is `sparse 50%`",
        )
        return self.output.add("NUMBER", "0.5", half)

    def _without_equals(self, span: Span) -> Fix:
        """A word followed by a blank instead of `=`."""
        sign = widened(point_in_line(span, span.end), self.text.index("=", span.end) + 1 - span.end)
        return Fix("leave the `=` out", (Edit(sign, " "),))

    def _after(self, position: int, *, skip: int = 0) -> str:
        """The next character that is not a blank, or the one `skip` characters after it; empty at the end."""
        text = self.text
        here = text[position : position + 1]
        if here == " " or here == "\t":
            position = _BLANKS.match(text, position).end()  # type: ignore[union-attr]
        return text[position + skip : position + skip + 1]
