"""Recognises malformed numbers, and reports them: `50epochs`, `8e–4`, `12abc`, `1e999`.

Imported only when such a number occurs, so a schedule without mistakes is linted without it.
"""

from __future__ import annotations

import re
import unicodedata

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.base.units import RANGE_WORDS, exact
from dsd_lang.syntax.lookalikes import not_that_sign
from dsd_lang.syntax.terminals import EPOCH_WORDS, UPDATE_WORDS, Token, clipped, widened

_STAND_INS = {"NUMBER": "0.5", "LENGTH": "1ep"}
_NUMBER_AND_WORD = re.compile(r"((?:\d[\d_]*(?:\.\d[\d_]*)?|\.\d+)(?:[eE][+-]?\d+)?)([^\W\d]+)")
_DASHED = re.compile(r"((?:\d[\d_]*(?:\.\d+)?|\.\d+)[eE])([–−—])(\d{1,3})(?!\w)")


def mend_number(source: str, text: str, span: Span) -> tuple[Token, Diagnostic]:
    """The token that ``text`` at ``span`` means; it begins like a number but is not one."""
    dashed = _DASHED.match(source, span.start)
    if dashed is not None:
        before = len(dashed[1])
        dash = widened(span._replace(column=span.column + before, start=span.start + before), 1)
        token = Token("NUMBER", f"{dashed[1]}-{dashed[3]}", widened(span, len(dashed[0])))
        return _counted(dashed[0], token, not_that_sign(dashed[2], "-", dash))
    misspelt = _misspelt(source, text, span)
    if misspelt is not None:
        return misspelt
    found = _NUMBER_AND_WORD.fullmatch(text)
    if found is None:
        diagnostic = Diagnostic(
            "DSD101",
            f"`{clipped(text)}` is not a number",
            span,
            help="numbers are written `12`, `0.5`, `8e-4`, `50_000`, `30%`; lengths `50ep`, `500it`",
        )
        return Token("NUMBER", _STAND_INS["NUMBER"], span), diagnostic
    return _number_and_word(text, found[1], found[2].lower(), span)


def _misspelt(source: str, text: str, span: Span) -> tuple[Token, Diagnostic] | None:
    """A known form of misspelt number."""
    from dsd_lang.syntax.lookalikes import power_of_ten
    from dsd_lang.syntax.misspelt_numbers import read_misspelt

    power = re.match(r"\d+(?:\.\d+)?", text)
    meant = power_of_ten(source, span.start + len(power[0]), power[0]) if power is not None else None
    if meant is not None:
        better, end = meant
        whole = widened(span, end - span.start)
        fix = Fix(f"write `{better}`", (Edit(whole, better),))
        diagnostic = Diagnostic("DSD101", f"a power of ten is written `{better}`", whole, f"write `{better}`", fix=fix)
        return _counted(better, Token("NUMBER", better, whole), diagnostic)
    begin = max(span.start - span.column + 1, span.start - 200)
    known = read_misspelt(source[span.start : span.start + 80].partition("\n")[0], source[begin : span.start])
    if known is None:
        return None
    whole = widened(span, known.length)
    kind = "LENGTH" if known.meant.endswith(("ep", "it")) else "NUMBER"
    known_fix = None if known.better is None else Fix(f"write `{known.better}`", (Edit(whole, known.better),))
    label = f"write `{clipped(known.better)}`" if known.better is not None else ""
    diagnostic = Diagnostic(known.code, known.message, whole, label, known.help, known_fix)
    return _counted(known.meant, Token(kind, known.meant, whole), diagnostic)


def _number_and_word(text: str, number: str, word: str, span: Span) -> tuple[Token, Diagnostic]:
    """`50epochs` is a length with a misspelt unit; `12abc` is unknown."""
    unit = "ep" if word in EPOCH_WORDS else "it" if word in UPDATE_WORDS else None
    if unit is not None:
        better = f"{number}{unit}"
        diagnostic = Diagnostic(
            "DSD402",
            f"`{clipped(text)}` is not a length: the units are `ep` (epochs) and `it` (optimizer updates)",
            span,
            label=f"did you mean `{clipped(better)}`?",
            fix=Fix(f"write `{clipped(better)}`", (Edit(span, better),)),
        )
        return _counted(text, Token("LENGTH", better, span), diagnostic)
    diagnostic = Diagnostic(
        "DSD101",
        f"`{clipped(text)}` is neither a number nor a length",
        span,
        help="a length ends in `ep` (epochs) or `it` (optimizer updates), a percentage in `%`; "
        "a name begins with a letter",
    )
    token = Token("LENGTH", f"{number}ep", span) if word[0] in "ei" else Token("NUMBER", number, span)
    return _counted(text, token, diagnostic)


def plain_digits(text: str) -> str:
    """The text with 0 to 9 in place of digits of other scripts and widths: `５` and `५` are 5."""
    return "".join(str(unicodedata.decimal(character)) if character.isdecimal() else character for character in text)


def with_plain_digits(token: Token) -> tuple[Token, Diagnostic]:
    """The token with its digits written as 0 to 9, and the diagnostic about them."""
    plain = plain_digits(token.text)
    found = next(character for character in token.text if character.isdecimal() and not character.isascii())
    diagnostic = Diagnostic(
        "DSD101",
        f"`{found}` is not the digit `{plain_digits(found)}` but {unicodedata.name(found, 'another sign').lower()}",
        token.span,
        label=f"write `{clipped(plain)}`",
        fix=Fix(f"write `{clipped(plain)}`", (Edit(token.span, plain),)),
    )
    is_number = token.kind in ("NUMBER", "LENGTH")
    mended = token._replace(text=plain)
    return _counted(plain, mended, diagnostic) if is_number else (mended, diagnostic)


def _counted(text: str, token: Token, diagnostic: Diagnostic) -> tuple[Token, Diagnostic]:
    """The token and its diagnostic, unless its number is out of range: then the diagnostic is about that."""
    try:
        exact(token.text[:-2] if token.kind == "LENGTH" else token.text)
    except ValueError:
        return out_of_range(text, token)
    return token, diagnostic


def out_of_range(text: str, token: Token) -> tuple[Token, Diagnostic]:
    """A number or length with too many digits; another one replaces it."""
    diagnostic = Diagnostic(
        "DSD101",
        f"`{clipped(text)}` is out of range",
        token.span,
        label="too large, too small, or too long",
        help=f"numbers have {RANGE_WORDS}",
    )
    return token._replace(text=_STAND_INS[token.kind]), diagnostic
