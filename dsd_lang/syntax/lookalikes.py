"""Recognises characters that the language does not have, and what they mean: `→`, `“fc*”`, `%`, `&&`.

Imported only when such a character occurs, so a schedule without mistakes is linted without it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span, replacement
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.terminals import Token, clipped, widened

_LOOKALIKES = {
    **dict.fromkeys("→⟶⇒➔➝⟹⭢", "->"), **dict.fromkeys("“”„‟″«»", '"'), **dict.fromkeys("‘’‚‛′‹›`´", "'"),
    **dict.fromkeys("–—−‐‑‒﹣－", "-"), **dict.fromkeys("×·⋅∙✕∗", "*"), **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("≈≃≅≔←", "="),
    **dict.fromkeys("≤⩽", "<="), **dict.fromkeys("≥⩾", ">="), "≠": "!=", "％": "%", "⁒": "%",
    **{chr(ord(sign) + 0xFEE0): sign for sign in ":;,()[]{}=+*/<>^"}, "、": ",", "∶": ":", "∧": "and", "∨": "or",
    "¬": "not",
}  # fmt: skip
_OPERATORS = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not"}
_TOKENS = {"->": "ARROW", "<=": "COMPARATOR", ">=": "COMPARATOR", "!=": "COMPARATOR", "and": "AND", "or": "OR",
           "not": "NOT", ";": "_SEPARATOR"}  # fmt: skip
_BULLETS = "•‣◦▪▫●○■□∙·*–—-►▸✓"
_ADVICE = {
    "%": "a percent sign follows its number directly: `30%`",
    "@": "a reference is written `@label`, `@label.end` or `@init`",
    ".": "a number is written `0.5`, a dotted name `val.loss`",
    "$": "a loop variable is written by its name alone: `for s in 25%, 50% { sparse s; dense }`",
    "?": "", "…": "use `repeat`, or write out every statement", "~": "a target is one number",
    "≈": "write the number alone", "†": "a footnote mark was copied too",
}  # fmt: skip
_QUOTED = re.compile("[“”„‟″«»‘’‚‛′‹›`´]([^“”„‟″«»‘’‚‛′‹›`´\"'\r\n]*)[“”„‟″«»‘’‚‛′‹›`´\"']")
_UNKNOWN_RUN = re.compile(r"[^\w\s\"'#;:,()\[\]{}<>=+*/^\\%-]+")
_POWER_OF_TEN = re.compile(
    r"[ \t]*(?:[×·⋅∙*]|\\times|\\cdot|x)[ \t]*10[ \t]*"
    r"(?:\^?[ \t]*\{?[ \t]*([-−–‑]?)[ \t]*(\d{1,2})(?!\d)[ \t]*\}?|([⁻]?)([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}))"
)
_MANTISSA = re.compile(r"\d{1,20}(?:\.\d{1,20})?")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_FORMULA = re.compile(r"\$[ \t]*([^$\r\n]{1,40}?)[ \t]*\$")
_LEADING_PERCENT = re.compile(r"%(\d+(?:\.\d+)?)(?![\w.%])")
_LATEX = {"%": "%", "to": "->", "rightarrow": "->", "times": "*", "cdot": "*", "leq": "<=", "le": "<=", "geq": ">=",
          "ge": ">=", "_": "_", "#": "#", "land": "and", "lor": "or"}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+|[%_#&$])")
_APART = re.compile(r"@[ \t]+([A-Za-z]\w*(?:\.\w+)*)")
_PIECES = re.compile(r"[\w.%]*")


class Sign(NamedTuple):
    """A character that was recognised: the token it means (MARK for punctuation), its end, and the diagnostic.

    ``replaces`` is the number of previous tokens that the new one replaces. ``joined`` is a word with invisible
    characters in it, without them.
    """

    token: Token | None
    end: int
    diagnostic: Diagnostic | None
    replaces: int = 0
    joined: str = ""


def read_sign(source: str, text: str, span: Span, marks: Mapping[str, str], before: Token | None) -> Sign:
    """What the character ``text`` means; ``before`` is the token that ends at it, if any."""
    if _is_invisible(text):
        return _invisible(source, text, span, before)
    if before is not None and before.kind == "NUMBER" and _MANTISSA.fullmatch(before.text):
        power = _POWER_OF_TEN.match(source, span.start)
        if power is not None:
            return _power_of_ten(power, span, before)
    if text in _BULLETS and _is_first(source, span.start) and source[span.end : span.end + 1] in (" ", "\t"):
        fix = Fix("leave it out", (Edit(widened(span, 2), ""),))
        return Sign(
            None, span.end, Diagnostic("DSD101", f"a statement has no bullet `{text}`", span, "leave it out", fix=fix)
        )
    meant = _LOOKALIKES.get(text)
    if meant == "=" and text in "≈≃≅" and (before is None or before.kind != "NAME"):
        meant = None
    if meant is None:
        return _other(source, text, span, before)
    if meant in ('"', "'"):
        return _quote(source, text, meant, span)
    diagnostic = not_that_sign(text, meant, span)
    kind = _TOKENS.get(meant) or ("MARK" if meant in marks else None)
    if meant == "%" and before is not None and before.kind == "NUMBER" and not before.text.endswith("%"):
        token = Token("NUMBER", before.text + "%", before.span.to(span))
        return Sign(token, span.end, diagnostic, replaces=1)
    return Sign(Token(kind, meant, span) if kind else None, span.end, diagnostic)


def read_command(source: str, span: Span, marks: Mapping[str, str], before: Token | None) -> Sign | None:
    """`\\%`, `\\times`, `\\to`: LaTeX commands; None for any other backslash."""
    if before is not None and before.kind == "NUMBER" and _MANTISSA.fullmatch(before.text):
        power = _POWER_OF_TEN.match(source, span.start)
        if power is not None:
            return _power_of_ten(power, span, before)
    found = _COMMAND.match(source, span.start)
    meant = _LATEX.get(found[1]) if found is not None else None
    if found is None or meant is None:
        return None
    whole = widened(span, len(found[0]))
    fix = replacement(whole, meant)
    diagnostic = Diagnostic(
        "DSD101", f"`{found[0]}` is LaTeX, not part of a schedule", whole, f"write `{meant}`", fix=fix
    )
    if meant == "%" and before is not None and before.kind == "NUMBER":
        return Sign(Token("NUMBER", before.text + "%", before.span.to(whole)), whole.end, diagnostic, replaces=1)
    kind = _TOKENS.get(meant) or ("MARK" if meant in marks else None)
    return Sign(Token(kind, meant, whole) if kind else None, whole.end, diagnostic)


def not_that_sign(found: str, meant: str, span: Span) -> Diagnostic:
    """The diagnostic about a character that looks like one of the language."""
    named = f"`{found}` ({named_character(found)})" if len(found) == 1 and not found.isascii() else f"`{found}`"
    return Diagnostic("DSD101", f"{named} is not `{meant}`", span, f"write `{meant}`", fix=replacement(span, meant))


def named_character(character: str) -> str:
    """`U+00AD, soft hyphen`."""
    aliases = {"\ufeff": "byte-order mark"}
    name = aliases.get(character) or unicodedata.name(character, "unnamed").lower()
    return f"U+{ord(character):04X}, {name}"


def _is_first(source: str, start: int) -> bool:
    """Whether only blanks are before it on its line."""
    while start and source[start - 1] in " \t":
        start -= 1
    return not start or source[start - 1] in "\r\n;{"


# --- invisible characters and quotes ----------------------------------------------------------------------------------


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Zs", "Zl", "Zp", "Cc") or character == "\u034f"


def _invisible(source: str, text: str, span: Span, before: Token | None) -> Sign:
    category = unicodedata.category(text)
    if category in ("Zl", "Zp"):
        fix = Fix("begin a new line", (Edit(span, "\n"),))
        message = f"an invisible character ends the line: {named_character(text)}"
        separator = Token("_SEPARATOR", "\n", span)
        return Sign(separator, span.end, Diagnostic("DSD101", message, span, "type a line break here", fix=fix))
    if category in ("Zs", "Cc"):
        run = span.end
        while run < len(source) and source[run] == text:
            run += 1
        whole = widened(span, run - span.start)
        fix = Fix("write a space", (Edit(whole, " "),))
        message = f"this is not a plain space but {named_character(text)}"
        return Sign(None, run, Diagnostic("DSD101", message, whole, "type a space here", fix=fix))
    return _in_a_word(source, text, span, before)


def _in_a_word(source: str, text: str, span: Span, before: Token | None) -> Sign:
    """A zero-width character: the word around it is read without it."""
    if before is not None and _PIECES.fullmatch(before.text) is None:
        before = None
    spans, position, joined = [span], span.end, ""
    while True:
        piece = _PIECES.match(source, position)
        joined += piece[0] if piece is not None else ""
        position = piece.end() if piece is not None else position
        if position >= len(source) or source[position] in "\r\n" or not _is_joiner(source[position]):
            break
        column = span.column + position - span.start
        spans.append(Span(span.line, column, span.line, column + 1, position, position + 1))
        position += 1
    fix = Fix("delete it", tuple(Edit(item, "") for item in spans))
    what = "an invisible character" if len(spans) == 1 else f"{len(spans)} invisible characters"
    message = f"{what} inside the text: {named_character(text)}"
    diagnostic = Diagnostic("DSD101", message, span, "delete this invisible character", fix=fix)
    if before is None and not joined:
        return Sign(None, position, diagnostic)
    whole = widened(span, position - span.start)
    if before is not None:
        joined, whole = before.text + joined, before.span.to(whole)
    return Sign(None, position, diagnostic, int(before is not None), joined)._replace(token=Token("", joined, whole))


def _is_joiner(character: str) -> bool:
    return unicodedata.category(character) == "Cf"


def _quote(source: str, text: str, meant: str, span: Span) -> Sign:
    """A curly quote and the closing one."""
    quoted = _QUOTED.match(source, span.start)
    if quoted is None:
        return Sign(None, span.end, not_that_sign(text, meant, span))
    whole = widened(span, len(quoted[0]))
    better = f'"{quoted[1]}"'
    diagnostic = Diagnostic(
        "DSD101",
        f"`{text}` ({named_character(text)}) is not a quote of this language",
        whole,
        f"write `{clipped(better)}`",
        fix=replacement(whole, better),
    )
    return Sign(Token("STRING", better, whole), whole.end, diagnostic)


# --- formulas ---------------------------------------------------------------------------------------------------------


def _power_of_ten(found: re.Match[str], span: Span, before: Token) -> Sign:
    """`8×10^-4`, `8·10⁻⁴`, `8 \\times 10^{-4}`: a number and its power of ten as one number."""
    sign = "-" if found[1] or found[3] else ""
    exponent = found[2] or found[4].translate(_SUPERSCRIPTS)
    better = f"{before.text}e{sign}{exponent}"
    whole = before.span.to(widened(span, found.end() - span.start))
    diagnostic = Diagnostic(
        "DSD101",
        f"a power of ten is written `{clipped(better)}`",
        whole,
        f"write `{clipped(better)}`",
        fix=replacement(whole, better),
    )
    return Sign(Token("NUMBER", better, whole), found.end(), diagnostic, replaces=1)


def power_of_ten(source: str, start: int, number: str) -> tuple[str, int] | None:
    """What `8x10^-4` means and where it ends, after a number that is followed by a power of ten."""
    found = _POWER_OF_TEN.match(source, start)
    if found is None:
        return None
    exponent = found[2] or found[4].translate(_SUPERSCRIPTS)
    return f"{number}e{'-' if found[1] or found[3] else ''}{exponent}", found.end()


def _other(source: str, text: str, span: Span, before: Token | None) -> Sign:
    formula = _FORMULA.match(source, span.start) if text == "$" else None
    percent = _LEADING_PERCENT.match(source, span.start) if text == "%" else None
    for found, number in (
        (formula, formula[1].replace("\\", "") if formula else ""),
        (percent, f"{percent[1]}%" if percent else ""),
    ):
        if found is not None and re.fullmatch(r"\d+(?:\.\d+)?%?", number):
            whole = widened(span, len(found[0]))
            message = (
                "a formula's `$` is not part of a schedule" if text == "$" else "a percent sign follows its number"
            )
            diagnostic = Diagnostic("DSD101", message, whole, f"write `{number}`", fix=replacement(whole, number))
            return Sign(Token("NUMBER", number, whole), whole.end, diagnostic)
    if text == "%" and before is not None and before.kind == "NUMBER":
        percent_sign = _percent_behind(source, span, before)
        if percent_sign is not None:
            return percent_sign
    if text == "@" and before is not None and before.kind == "REFERENCE":
        moment = re.compile(r"@(\w+)").match(source, span.start)
        if moment is not None:
            better, whole = f"{before.text}.{moment[1]}", before.span.to(widened(span, len(moment[0])))
            fix = replacement(whole, better)
            diagnostic = Diagnostic(
                "DSD101", "a moment of a phase is written `@label.moment`", whole, f"write `{better}`", fix=fix
            )
            return Sign(Token("REFERENCE", better, whole), whole.end, diagnostic, replaces=1)
    if text == "@":
        name = _APART.match(source, span.start)
        if name is not None:
            better, whole = f"@{name[1]}", widened(span, len(name[0]))
            diagnostic = Diagnostic(
                "DSD101", "a reference has no spaces", whole, f"write `{better}`", fix=replacement(whole, better)
            )
            return Sign(Token("REFERENCE", better, whole), whole.end, diagnostic)
        return Sign(
            None, span.end, Diagnostic("DSD101", "a reference names a phase", span, "which phase?", _ADVICE["@"])
        )
    if text == "%" and re.match(r"[ \t]+[^\W\d]", source[span.end : span.end + 20]):
        return _comment(source, span)
    if text == "." and before is not None and before.kind == "REFERENCE":
        help = "a phase has `start`, `entered`, `end`, `best`, or a length such as `500it`"
        fix = replacement(span, ".end", "display")
        return Sign(
            None,
            span.end,
            Diagnostic("DSD101", "the reference is incomplete after its `.`", span, "expected a moment", help, fix),
        )
    if text in "&|!~":
        operator = _operator(source, span)
        if operator is not None:
            return operator
    run = _UNKNOWN_RUN.match(source, span.start)
    span = widened(span, len(run[0]) if run is not None else 1)
    shown = source[span.start : span.end]
    is_last = source[span.end : span.end + 1] in ("", "\r", "\n", ";", " ")
    left_out = Fix("leave it out", (Edit(span, ""),)) if is_last and before is not None else None
    return Sign(
        None,
        span.end,
        Diagnostic(
            "DSD101", f"`{clipped(shown)}` has no meaning here", span, help=_ADVICE.get(shown[0], ""), fix=left_out
        ),
    )


def _percent_behind(source: str, span: Span, before: Token) -> Sign | None:
    """`50 %`, `50%%`, `25%..75%`."""
    whole = before.span.to(span)
    if before.text.endswith("%"):
        if before.span.end != span.start:
            return None
        run = re.compile("%+").match(source, span.start)
        whole = before.span.to(widened(span, len(run[0]) if run is not None else 1))
        fix = replacement(whole, before.text)
        diagnostic = Diagnostic("DSD101", "one percent sign is enough", whole, f"write `{before.text}`", fix=fix)
        return Sign(Token("NUMBER", before.text, whole), whole.end, diagnostic, replaces=1)
    if before.span.end == span.start:  # `25%` alone would have been read: something follows it
        from dsd_lang.syntax.misspelt_numbers import read_misspelt

        line = max(before.span.start - before.span.column + 1, before.span.start - 200)
        known = read_misspelt(
            source[before.span.start : span.end + 80].partition("\n")[0], source[line : before.span.start]
        )
        if known is None or known.length <= len(before.text) + 1:
            return None
        whole = widened(before.span, known.length)
        known_fix = None if known.better is None else replacement(whole, known.better)
        label = f"write `{clipped(known.better)}`" if known.better is not None else ""
        diagnostic = Diagnostic(known.code, known.message, whole, label, known.help, known_fix)
        return Sign(Token("NUMBER", known.meant, whole), whole.end, diagnostic, replaces=1)
    better = f"{before.text}%"
    message = "a percent sign follows its number directly"
    diagnostic = Diagnostic("DSD101", message, whole, f"write `{better}`", fix=replacement(whole, better))
    return Sign(Token("NUMBER", better, whole), whole.end, diagnostic, replaces=1)


def _comment(source: str, span: Span) -> Sign:
    end = span.end
    while end < len(source) and source[end] not in "\r\n":
        end += 1
    fix = replacement(span, "#", "safe")
    return Sign(None, end, Diagnostic("DSD101", "a comment starts with `#`, not with `%`", span, "write `#`", fix=fix))


def _operator(source: str, span: Span) -> Sign | None:
    """`&&`, `||`, `!` in a condition; `|` between selectors and between phases."""
    doubled = source[span.start : span.start + 2]
    written = doubled if doubled in _OPERATORS else source[span.start]
    if doubled == "|>":
        written = doubled
    whole = widened(span, len(written))
    begin = max(source.rfind(sign, 0, span.start) for sign in "\n\r;{}") + 1
    head = source[begin : span.start]
    meant = _OPERATORS.get(written)
    kind = _TOKENS.get(meant or "", "")
    selecting = re.search(r"layers[ \t]*=[ \t]*\Z", head)
    if selecting is not None and written in ("!", "~"):
        offset = span.start - len(head) + selecting.start()
        column = span.column - span.start + offset
        argument = Span(span.line, column, span.line, span.end_column, offset, span.end)
        fix = Fix("write `except=`", (Edit(argument, "except="),))
        message = "layers are left out by `except=`"
        return Sign(None, span.end, Diagnostic("DSD101", message, argument, "write `except=`", fix=fix))
    if re.search(r"\b(?:until|expect)\b", head) is None:
        if re.search(r"(?:layers|except)[ \t]*=[^=]*\Z", head) and meant == "or":
            meant, kind = ",", "MARK"
        elif re.match(r"[ \t]*(?:dense|sparse|\w+[ \t]*:)", source[whole.end : whole.end + 60]):
            meant, kind = ";", "_SEPARATOR"
        else:
            return None
    elif written == "~":
        return None
    if meant is None:
        return None
    fix = replacement(whole, meant)
    if meant == ";":
        gap = len(head) - len(head.rstrip(" \t"))
        start = Span(whole.line, whole.column - gap, whole.line, whole.end_column, whole.start - gap, whole.end)
        fix = Fix("write `;`", (Edit(start, ";"),))
    message = {
        "not": f"a condition is negated by `not`, not by `{written}`",
        ",": f"selectors are joined by `,`, not by `{written}`",
        ";": f"statements are separated by `;` or a new line, not by `{written}`",
    }.get(meant, f"conditions are joined by `{meant}`, not by `{written}`")
    text = f"{meant} " if meant == "not" and source[whole.end : whole.end + 1] not in (" ", "(") else meant
    if text != meant:
        fix = replacement(whole, text)
    return Sign(Token(kind, meant, whole), whole.end, Diagnostic("DSD101", message, whole, f"write `{meant}`", fix=fix))
