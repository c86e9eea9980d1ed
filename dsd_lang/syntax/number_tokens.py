"""A text that begins like a number in, its token and what is wrong with it out: `50 ` `8e-4` `50epochs` `0.1e999x`.

What is wrong is read as what was meant, so that the parser goes on and one mistake gives one message.
"""

from __future__ import annotations

import re

from dsd_lang.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.syntax.lookalikes import not_that_sign
from dsd_lang.syntax.terminals import EPOCH_WORDS, UPDATE_WORDS, Token, clipped
from dsd_lang.units import MAX_DIGITS, exact

_STAND_INS = {"NUMBER": "0.5", "LENGTH": "1ep"}  # read in place of a number that cannot be read
_NUMBER_AND_WORD = re.compile(r"((?:\d[\d_]*(?:\.\d[\d_]*)?|\.\d+)(?:[eE][+-]?\d+)?)([^\W\d]+)")
_DASHED = re.compile(r"((?:\d[\d_]*(?:\.\d+)?|\.\d+)[eE])([–−—])(\d{1,3})(?!\w)")


def read_number(text: str, span: Span) -> tuple[Token, Diagnostic | None]:
    """The token of a well-formed number or length; a finding when it has more digits than can be counted with."""
    kind = "LENGTH" if text.endswith(("ep", "it")) else "NUMBER"
    try:
        exact(text[:-2] if kind == "LENGTH" else text)
    except ValueError:
        finding = Diagnostic(
            "DSD101",
            f"`{clipped(text)}` is beyond the range of numbers",
            span,
            label="too many digits",
            help=f"a number has at most {MAX_DIGITS} digits before and after its point",
        )
        return Token(kind, _STAND_INS[kind], span), finding
    return Token(kind, text, span), None


def mend_number(text: str, span: Span) -> tuple[Token, Diagnostic]:
    """The token that was meant by what is nearly a number, and the finding that says so."""
    found = _NUMBER_AND_WORD.fullmatch(text)
    if found is None:
        finding = Diagnostic(
            "DSD101",
            f"`{clipped(text)}` is not a number",
            span,
            help="numbers are written `12`, `0.5`, `8e-4`, `50_000`, `30%`; lengths `50ep`, `500it`",
        )
        return Token("NUMBER", _STAND_INS["NUMBER"], span), finding
    number, word = found[1], found[2].lower()
    unit = "ep" if word in EPOCH_WORDS else "it" if word in UPDATE_WORDS else None
    kind = "LENGTH" if unit is not None or word[0] in "ei" else "NUMBER"
    token, too_large = read_number(f"{number}{unit or 'ep'}" if kind == "LENGTH" else number, span)
    if too_large is not None:
        return token, too_large
    if unit is None:
        finding = Diagnostic(
            "DSD101",
            f"`{clipped(text)}` is neither a number nor a length",
            span,
            help="a length ends in `ep` (epochs) or `it` (optimizer updates), a percentage in `%`; "
            "a name begins with a letter",
        )
        return token, finding
    better = f"{number}{unit}"
    finding = Diagnostic(
        "DSD402",
        f"`{clipped(text)}` is no length: the units are `ep` (epochs) and `it` (optimizer updates)",
        span,
        label=f"did you mean `{better}`?",
        fix=Fix(f"write `{better}`", (Edit(span, better),)),
    )
    return token, finding


def read_dashed(text: str, start: int, span: Span) -> tuple[Token, Diagnostic] | None:
    """The number at ``start`` whose minus sign is a typographic dash (`8e–4`), or None when there is none."""
    found = _DASHED.match(text, start)
    if found is None:
        return None
    before = len(found[1])
    dash = span._replace(column=span.column + before, start=start + before)
    dash = dash._replace(end_column=dash.column + 1, end=dash.start + 1)
    whole = span._replace(end_column=span.column + len(found[0]), end=start + len(found[0]))
    token, too_large = read_number(f"{found[1]}-{found[3]}", whole)
    return token, too_large or not_that_sign(found[2], "-", dash)
