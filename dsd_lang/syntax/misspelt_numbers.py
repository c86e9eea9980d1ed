"""Recognises misspelt numbers, and what they mean: `0..90%`, `1e`, `5oep`, `50%%`.

Imported only when such a number occurs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.terminals import EPOCH_WORDS, UPDATE_WORDS

_NUM = r"(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?%?"
_UNITS = {**dict.fromkeys(EPOCH_WORDS, "ep"), **dict.fromkeys(UPDATE_WORDS, "it")}
_LETTERS = str.maketrans("oOlI", "0011")
_THOUSANDS = {"k": "_000", "K": "_000", "M": "_000_000"}
_TIMES = (
    "h",
    "hr",
    "hrs",
    "hour",
    "hours",
    "m",
    "min",
    "mins",
    "minute",
    "minutes",
    "s",
    "sec",
    "secs",
    "d",
    "day",
    "days",
)


class Misspelt(NamedTuple):
    """The length of the misspelt text, its replacement (None if that is not clear), and the message.

    ``meant`` is the number to continue with; ``code`` is the code of the diagnostic.
    """

    length: int
    better: str | None
    meant: str
    message: str
    help: str = ""
    code: str = "DSD101"


Reader = Callable[[re.Match[str], str], Misspelt | None]


def read_misspelt(text: str, before: str) -> Misspelt | None:
    """What a text that begins with a misspelt number means; ``before`` is the part of its line before it."""
    for pattern, reader in _FORMS:
        found = pattern.match(text)
        misspelt = reader(found, before) if found is not None else None
        if misspelt is not None:
            return misspelt
    return None


def _range(found: re.Match[str], before: str) -> Misspelt | None:
    left, right = found[1], found[2]
    written = found[0]
    length = len(written)
    argument = re.search(r"(\w+)[ \t]*=[ \t]*\Z", before)
    if argument is not None:
        is_typo = left == "0" and right.isdigit()
        better = f"0.{right}" if is_typo else None
        if not is_typo and argument[1] == "lr":
            return Misspelt(
                length, f"{left} decay=linear floor={right}", left,
                "`lr=` is the rate at the start of the phase, not a range",
                "the way down is `decay=`, the lowest rate `floor=`",
            )  # fmt: skip
        message = f"`{written}` is not a number" if is_typo else f"`{argument[1]}=` takes one value, not a range"
        return Misspelt(length, better, better or left, message)
    if re.search(r"\b(?:for|sweep)\b", before):
        return Misspelt(length, _listed(left, right), left, "a loop lists its values, separated by `,`",
                        "N rounds are `repeat N { ... }`")  # fmt: skip
    if re.search(r"\bsparse\b", before):
        better = f"{left}->{right}"
        return Misspelt(length, better, right, "a ramp is written with `->`")
    return Misspelt(length, None, left, f"`{written}` is not a number", "a number is written `0.5`, a ramp `0->90%`")


def _listed(left: str, right: str) -> str | None:
    if left.isdigit() and right.isdigit() and 0 < int(right) - int(left) <= 20:
        return ", ".join(map(str, range(int(left), int(right))))
    return f"{left}, {right}" if left.endswith("%") else None


def _exponent(found: re.Match[str], before: str) -> Misspelt | None:
    if found[2]:
        better = f"{found[1]}e{found[2].replace(' ', '')}{found[3]}" if found[3] else None
    else:
        better = f"{found[1]}e-{found[3]}" if found[3] else None
    if better is not None:
        return Misspelt(
            len(found[0]), better, better, f"`{found[0]}` is not a number: the exponent follows the `e` directly"
        )
    if not re.search(r"(?<!warmup)(?<!every)(?<!calibrate)[ \t]*[=(*/+^,-][ \t]*\Z", before):
        return None  # `50e` where a length is expected
    digit = f"{found[1]}e-3"
    return Misspelt(len(found[0].rstrip()), None, found[1], f"the exponent of `{found[0].rstrip()}` is missing",
                    f"write it after the `e`: `{digit}`")  # fmt: skip


def _exponent_misspelt(found: re.Match[str], before: str) -> Misspelt:
    return Misspelt(
        len(found[0]),
        f"{found[1]}e-{found[2]}",
        f"{found[1]}e-{found[2]}",
        f"`{found[0]}` is not a number: an exponent is written with `-`",
    )


def _letters_behind(found: re.Match[str], before: str) -> Misspelt:
    return Misspelt(len(found[0]), found[1], found[1], f"`{found[0]}` is not a number: it ends in `{found[2]}`")


def _letters(found: re.Match[str], before: str) -> Misspelt | None:
    digits = found[1].translate(_LETTERS)
    if digits == found[1] or not any(character.isdigit() for character in found[1]):
        return None
    letter = next(character for character in found[1] if character in "oOlI")
    better = digits + found[2]
    digit = letter.translate(_LETTERS)
    return Misspelt(
        len(found[0]), better, better, f"`{found[0]}` has the letter `{letter}` where the digit {digit} belongs"
    )


def _percent(found: re.Match[str], before: str) -> Misspelt:
    return Misspelt(len(found[0]), f"{found[1]}%", f"{found[1]}%", f"a percentage is written `{found[1]}%`")


def _trailing_point(found: re.Match[str], before: str) -> Misspelt:
    return Misspelt(len(found[0]), found[1], found[1], f"`{found[0]}` is not a number: one point is enough")


def _thousands(found: re.Match[str], before: str) -> Misspelt:
    is_value = before.rstrip().endswith("=")
    better = found[1] + _THOUSANDS[found[2]] + (found[3] or ("" if is_value else "it"))
    return Misspelt(len(found[0]), better, better, f"a number is written out: `{better}`", "digits are grouped by `_`")


def _time(found: re.Match[str], before: str) -> Misspelt | None:
    if found[2] not in _TIMES:
        return None
    return Misspelt(len(found[0]), None, f"{found[1]}ep", f"`{found[0]}` is not a length: lengths are not in time",
                    "write epochs (`50ep`) or optimizer updates (`500it`)", "DSD402")  # fmt: skip


def _pattern(found: re.Match[str], before: str) -> Misspelt:
    return Misspelt(len(found[0]), f"{found[1]}:{found[2]}", "0.5", "`N:M` is written with `:`")


def _unit(found: re.Match[str], before: str) -> Misspelt | None:
    from dsd_lang.base.errors import nearest

    word = found[2].lower()
    near = _UNITS.get(word) or _UNITS.get(
        nearest(word, ("ep", "it", "epochs", "epoch", "iterations", "steps", "updates")) or ""
    )
    if near is None:
        return None
    better = f"{found[1]}{near}"
    return Misspelt(len(found[0]), better, better, f"`{found[0]}` is not a length: the units are `ep` (epochs) "
                    "and `it` (optimizer updates)", "", "DSD402")  # fmt: skip


def _grouped(found: re.Match[str], before: str) -> Misspelt:
    better = found[0].replace(".", "").replace(",", ".")
    return Misspelt(len(found[0]), better, better, "digits are grouped by `_`, and a decimal point is written `.`")


_FORMS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (rf"({_NUM})\.\.+({_NUM})", _range),
        (r"(\d{1,3}(?:\.\d{3})+),\d+(?![\w.])", _grouped),
        (r"(\d+(?:\.\d+)?)%%+", _percent),
        (r"(\d+(?:\.\d+)?)[ \t]*(?:percent|pct|per[ \t]cent)\b", _percent),
        (r"(\d+)of(\d+)\b", _pattern),
        (r"(\d+(?:\.\d+)?)[eE]_(\d+)\b", _exponent_misspelt),
        (r"(\d+(?:\.\d+)?[eE][+-]?\d+)([A-Za-z]+)(?!\w)", _letters_behind),
        (r"(\d+(?:\.\d+)?)[eE][ \t]*([+-]?)[ \t]*(\d*)(?!\w)", _exponent),
        (r"([\doOlI]+(?:\.[\doOlI]+)?)(ep|it|%|)(?![\w.%])", _letters),
        (r"(\d+)([kKM])(ep|it)?(?!\w)", _thousands),
        (r"(\d+(?:\.\d+)?)([a-z]+)(?!\w)", _time),
        (r"(\d+(?:\.\d+)?)\.+(?![\w.])", _trailing_point),
        (r"(\d+(?:\.\d+)?)([A-Za-z]+)(?!\w)", _unit),
    )
)
