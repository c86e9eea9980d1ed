"""Reads numbers, lengths, strings and regular expressions; malformed ones are reported and repaired."""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.units import exact
from dsd_lang.syntax.brackets import Output
from dsd_lang.syntax.table import Table
from dsd_lang.syntax.terminals import Token, clipped, point_in_line, widened

_NUMBER_LIKE = r"\.?\d[\w.%]*"
_LINE = "[^\r\n]*"


class LiteralTokens:
    """The literals of one text."""

    def __init__(self, text: str, table: Table, output: Output) -> None:
        self.text = text
        self.regex = table.patterns["REGEX"]
        self.output = output
        self.in_range: set[str] = set()  # numbers already checked to be in range

    def number(self, text: str, span: Span) -> int:
        """`0.5`, `30%`, `50ep`."""
        if text[0] == "." and self.output.previous == "REFERENCE" and self.output.tokens[-1].span.end == span.start:
            return self._bare_moment(text, span)
        if self.text.startswith("..", span.end) and not self.output.is_in_values:
            whole = re.compile(_NUMBER_LIKE).match(self.text, span.start)
            assert whole is not None, "a number begins like one"
            return self.wrong_number(whole[0], widened(span, len(whole[0])))
        kind = "LENGTH" if text[-1] in "pt" else "NUMBER"
        if not text.isascii():
            from dsd_lang.syntax.number_tokens import with_plain_digits

            return self.output.mended(*with_plain_digits(Token(kind, text, span)))
        if text not in self.in_range:
            if not _is_in_range(text):
                from dsd_lang.syntax.number_tokens import out_of_range

                return self.output.mended(*out_of_range(text, Token(kind, text, span)))
            self.in_range.add(text)
        return self.output.add(kind, text, span)

    def wrong_number(self, text: str, span: Span) -> int:
        """`12abc`: begins like a number but is not one."""
        from dsd_lang.syntax.number_tokens import mend_number

        token, diagnostic = mend_number(self.text, text, span)
        if token.kind in ("NUMBER", "LENGTH") and not _is_in_range(token.text):
            from dsd_lang.syntax.number_tokens import out_of_range

            token, diagnostic = out_of_range(token.text, token)
        return self.output.mended(token, diagnostic)

    def _bare_moment(self, text: str, span: Span) -> int:
        """`@a.1000`: a moment in a phase without its unit."""
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

    def open_string(self, text: str, span: Span) -> int:
        """A string without a closing quote."""
        quote = widened(span, 1)
        end = span.start + len(text.rstrip())
        self.output.report(
            "DSD104",
            f"the string is never closed: its second `{text[0]}` is missing",
            quote,
            label="a string ends on the line where it began",
            fix=Fix(f"put in the `{text[0]}`", (Edit(point_in_line(span, end), text[0]),)),
        )
        return self.output.add("STRING", text + text[0], span)

    def regular_expression(self, span: Span) -> int:
        """A `/` where a value may begin: a regular expression."""
        found = re.compile(self.regex).match(self.text, span.start)
        if found is None:
            end = re.compile(_LINE).match(self.text, span.start).end()  # type: ignore[union-attr]
            body = self.text[span.start + 1 : end].split(" ", 1)[0]
            whole = widened(span, 1 + len(body))
            closing = Edit(point_in_line(span, whole.end), "/")
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


def _is_in_range(text: str) -> bool:
    """Whether a number or length is one that a plan can store."""
    try:
        exact(text[:-2] if text[-1:] in "pt" else text)
    except ValueError:
        return False
    return True
