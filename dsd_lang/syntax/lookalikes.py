"""A sign the language does not have in, the token that was meant (if any) and the finding out: `→`, `“fc*”`, `%`.

Imported at the first such sign only: a schedule without mistakes is linted without this page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.syntax.terminals import Token, clipped, widened

_LOOKALIKES = {
    "→": "->", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "−": "-", "—": "-", "×": "*", "·": "*",
    "÷": "/", "：": ":", "；": ";", "，": ",", "（": "(", "）": ")", "≤": "<=", "≥": ">=", "≠": "!=", "％": "%",
    "\u00a0": " ", "\u2003": " ", "\u2009": " ", "\u200b": "", "\u3000": " ",
}  # fmt: skip
_ADVICE = {
    "%": "a percent sign stands directly after its number: `30%`",
    "@": "a reference is written `@label`, `@label.end` or `@init`",
    ".": "a number is written `0.5`, a dotted name `val.loss`",
    "&": "conditions are joined by `and`", "!": "write `not`",
    "|": "statements are separated by `;` or a new line, conditions joined by `or`",
}  # fmt: skip
_QUOTED = re.compile("[“„”‘’]([^“”„‘’\r\n]*)[“”‘’]")
_UNKNOWN_RUN = re.compile(r"[^\w\s\"'#;:,()\[\]{}<>=+*/^-]+")


def read_sign(source: str, text: str, span: Span, marks: Mapping[str, str]) -> tuple[Token | None, Diagnostic, int]:
    """What was meant by the character ``text``: a token (of kind MARK for one of ``marks``) or nothing; where it ends.

    A blank or a character that means nothing leaves no token.
    """
    meant = _LOOKALIKES.get(text)
    if meant is None:
        run = _UNKNOWN_RUN.match(source, span.start)
        span = widened(span, len(run[0]) if run is not None else 1)
        shown = source[span.start : span.end]
        unknown = Diagnostic("DSD101", f"`{clipped(shown)}` means nothing here", span, help=_ADVICE.get(shown[0], ""))
        return None, unknown, span.end
    if not meant.strip():
        return None, _not_a_blank(text, meant, span), span.end
    finding = not_that_sign(text, meant, span)
    if meant in ('"', "'"):
        quoted = _QUOTED.match(source, span.start)
        if quoted is None:
            return None, finding, span.end
        token = Token("STRING", f'"{quoted[1]}"', widened(span, len(quoted[0])))
        return token, finding, token.span.end
    kind = {"->": "ARROW", "<=": "COMPARATOR", ">=": "COMPARATOR", "!=": "COMPARATOR"}.get(meant)
    if kind is None and meant in marks:
        kind = "MARK"
    return (Token(kind, meant, span) if kind is not None else None), finding, span.end


def not_that_sign(found: str, meant: str, span: Span) -> Diagnostic:
    """The finding about a sign that only looks like one of the language."""
    fix = Fix(f"write `{meant}`", (Edit(span, meant),))
    return Diagnostic("DSD101", f"`{found}` is not `{meant}`", span, f"write `{meant}`", fix=fix)


def _not_a_blank(text: str, meant: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "DSD101",
        f"this is no plain space but U+{ord(text):04X}",
        span,
        "type a space here" if meant else "delete this invisible character",
        fix=Fix("write a space" if meant else "delete it", (Edit(span, meant),)),
    )
