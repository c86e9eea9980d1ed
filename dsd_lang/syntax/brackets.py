"""Balances brackets: inserts a missing `)`, drops a stray one, and reports each."""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import position_span
from dsd_lang.syntax.terminals import MAX_NESTING, STATEMENT_STARTS, Token, behind

OPENS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSES = {close: open_ for open_, close in OPENS.items()}
_LINES = r"(?P<blank>[ \t]*)(?P<first>[^\r\n]?)[^\r\n]*(?:\r\n|\n|\r|\Z)"
_TEXT_OF = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}


class Output:
    """The tokens and diagnostics of a text while it is read; ``previous`` is the kind of the last token."""

    __slots__ = ("diagnostics", "previous", "tokens")

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.diagnostics: list[Diagnostic] = []
        self.previous = ""

    def add(self, kind: str, text: str, span: Span) -> int:
        """Adds a token; returns its end."""
        self.tokens.append(tuple.__new__(Token, (kind, text, span)))
        self.previous = kind
        return span[5]

    def take_back(self) -> None:
        """Removes the last token, because what follows shows that it is part of another."""
        self.tokens.pop()
        self.previous = self.tokens[-1].kind if self.tokens else ""

    @property
    def is_in_values(self) -> bool:
        """Whether the values of a `for` or `sweep` are being read."""
        for token in reversed(self.tokens):
            if token.kind in ("IN", *STATEMENT_STARTS):
                return token.kind == "IN"
        return False

    def insert(self, kind: str) -> None:
        """Adds a token of width 0 after the last one."""
        last = self.tokens[-1].span if self.tokens else Span(1, 1, 1, 1, 0, 0)
        self.add(kind, "", behind(last))

    def mended(self, token: Token, diagnostic: Diagnostic) -> int:
        """Adds the token that a mistake means, and the diagnostic; returns its end."""
        self.diagnostics.append(diagnostic)
        return self.add(*token)

    def report(
        self, code: str, message: str, span: Span, *, label: str = "", help: str = "", fix: Fix | None = None
    ) -> None:
        """Adds a diagnostic."""
        self.diagnostics.append(Diagnostic(code, message, span, label, help, fix))


class _Open(NamedTuple):
    """An open bracket, and the indentation of its line."""

    kind: str
    span: Span
    indent: int


def lacks_closing(text: str) -> bool:
    """Whether a `}` is missing anywhere; if so, the indentation decides where."""
    return text.count("{") > text.count("}")


def partner(text: str, start: int) -> int | None:
    """The position of the bracket that closes the one at ``start``; None if there is none."""
    opening = text[start]
    closing = {"(": ")", "[": "]", "{": "}"}[opening]
    depth = 0
    for found in re.compile(f"[{re.escape(opening + closing)}]").finditer(text, start, start + 10_000):
        depth += 1 if found[0] == opening else -1
        if not depth:
            return found.start()
    return None


class Brackets:
    """The brackets that are open at the current position; ``innermost`` is the last one, empty for none."""

    __slots__ = ("_lacks_closing", "_opened", "_output", "_text", "innermost", "newline_skipped")

    def __init__(self, text: str, output: Output) -> None:
        self._text = text
        self._output = output
        self._opened: list[_Open] = []
        self._lacks_closing = lacks_closing(text)
        self.innermost = ""
        self.newline_skipped = False  # there was a newline inside of `(` or `[`

    @property
    def in_parentheses(self) -> bool:
        """Whether `(` or `[` is open, so that newlines do not end a statement and none can begin."""
        return self.innermost == "LPAR" or self.innermost == "LSQB"

    def open(self, kind: str, span: Span, indent: int) -> bool:
        """Opens a bracket; False (with a diagnostic) if they nest too deep."""
        if len(self._opened) >= MAX_NESTING:
            self._output.report(
                "DSD101",
                f"brackets and blocks are nested more than {MAX_NESTING} deep",
                span,
                label="nothing after this was read",
                help="use fewer nested blocks",
            )
            return False
        if not self.in_parentheses:
            self.newline_skipped = False
        self._opened.append(_Open(kind, span, indent))
        self.innermost = kind
        self._output.add(kind, _TEXT_OF[kind], span)
        return True

    def close(self, kind: str, span: Span, indent: int | None) -> int:
        """Closes a bracket; ``indent`` is that of its line if the bracket is first on it. Returns its end."""
        wanted = CLOSES[kind]
        is_open = any(bracket.kind == wanted for bracket in self._opened)
        if not is_open or (wanted != "LBRACE" and self.innermost == "LBRACE"):
            label = f"no `{_TEXT_OF[wanted]}` is open here"
            fix = Fix(f"leave out the `{_TEXT_OF[kind]}`", (Edit(span, ""),))
            self._output.report(
                "DSD101", f"`{_TEXT_OF[kind]}` has no matching opening bracket", span, label=label, fix=fix
            )
            return span.end
        while self.innermost != wanted:
            self._close_missing()
        if kind == "RBRACE" and self._lacks_closing and indent is not None:
            while len(self._opened) > 1 and self._opened[-1].indent > indent:
                self._close_missing()
        self._pop()
        return self._output.add(kind, _TEXT_OF[kind], span)

    def end_parentheses(self) -> None:
        """Closes `(` and `[` that were not closed before the next statement."""
        while self.in_parentheses:
            self._close_missing()
        if self.newline_skipped:
            self._output.insert("_SEPARATOR")
        self.newline_skipped = False

    def finish(self, *, is_quiet: bool) -> None:
        """Closes all open brackets at the end of the text."""
        while self._opened:
            if is_quiet:
                self._output.insert(OPENS[self._pop().kind])
            else:
                self._close_missing()

    def _close_missing(self) -> None:
        bracket = self._pop()
        close = OPENS[bracket.kind]
        label = f"its `{_TEXT_OF[close]}` is missing"
        self._output.insert(close)
        edit = Edit(self._output.tokens[-1].span, _TEXT_OF[close])
        if close == "RBRACE":
            edit = self._closing_brace(bracket)
        fix = Fix(f"put in the `{_TEXT_OF[close]}`", (edit,))
        self._output.report("DSD104", f"`{_TEXT_OF[bracket.kind]}` is never closed", bracket.span, label=label, fix=fix)

    def _closing_brace(self, bracket: _Open) -> Edit:
        """The position before the first line that is not indented deeper than the block.

        It is on the block's own line if no line follows.
        """
        lines = list(re.compile(_LINES).finditer(self._text, bracket.span.end))[1:]  # the first token after the brace
        written = [line for line in lines if line["first"] and line["first"] != "#"]
        after = next((line for line in written if len(line["blank"]) <= bracket.indent), None)
        if not written or written[0] is after:
            beside = next(token for token in reversed(self._output.tokens) if token.span.end_line == bracket.span.line)
            return Edit(position_span(self._text, beside.span.end, beside.span.end), " }")
        indent = self._text[bracket.span.start - bracket.span.column + 1 :][: bracket.indent]
        if after is not None:
            return Edit(position_span(self._text, after.start(), after.start()), f"{indent}}}\n")
        end = len(self._text)
        head = "" if self._text.endswith(("\n", "\r")) else "\n"
        return Edit(position_span(self._text, end, end), f"{head}{indent}}}\n")

    def _pop(self) -> _Open:
        bracket = self._opened.pop()
        self.innermost = self._opened[-1].kind if self._opened else ""
        return bracket
