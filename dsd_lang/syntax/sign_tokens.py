"""Reads characters that the language does not have as what they mean: `≤`, a curly quote, `&&`, `\\times`.

lookalikes.py has their meanings; it is imported when the first one occurs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from dsd_lang.base.diagnostics import Diagnostic, Fix, Span
from dsd_lang.syntax.brackets import Output
from dsd_lang.syntax.table import Table
from dsd_lang.syntax.terminals import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.syntax.lookalikes import Sign

Handler = Callable[[str, Span], int]
MAX_REPEATED = 50


class SignTokens:
    """The foreign characters of one text; ``handlers`` read them by their kind."""

    def __init__(
        self,
        text: str,
        table: Table,
        master: re.Pattern[str],
        output: Output,
        handlers: Mapping[str, Handler],
    ) -> None:
        self.text = text
        self.marks = table.marks
        self.master = master
        self.output = output
        self.handlers = handlers
        self.repeated: dict[str, int] = {}  # the diagnostic about a character, and its index
        self.unread: list[int] = []  # characters that gave no token

    def unknown(self, text: str, span: Span) -> int:
        """A character that cannot begin a token."""
        from dsd_lang.syntax.lookalikes import read_sign

        return self._read(read_sign(self.text, text, span, self.marks, self._beside(span)))

    def command(self, span: Span) -> int | None:
        """`\\times`: what follows a `\\` on its line; None if nothing follows or it has no meaning."""
        if self.text[span.end : span.end + 1] in " \t\r\n":  # the end of the text is in it too
            return None
        from dsd_lang.syntax.lookalikes import read_command

        sign = read_command(self.text, span, self.marks, self._beside(span))
        return None if sign is None else self._read(sign)

    def _beside(self, span: Span) -> Token | None:
        """The token that ends at this position; for a number, blanks may be in between."""
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
        """Adds a diagnostic; if the same character was reported before, extends the fix of that diagnostic."""
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
        """Reads what a foreign character means."""
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
            self.handlers["MARK"](token.text, token.span)
        else:
            self.output.add(*token)
        return sign.end
