"""Describes what the grammar accepts in words: "a length, an argument or the end of the statement"."""

from __future__ import annotations

from collections.abc import Iterable

from dsd_lang.syntax.terminals import SOFT_WORDS, STATEMENT_WORDS, Token, clipped

_VALUES = frozenset({"NUMBER", "LENGTH", "NAME", "DOTTED", "ARM", "STRING", "REFERENCE", "LPAR", "MINUS"})
_OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "CARET", "COMPARATOR", "AND", "OR", "ARROW", "LPAR", "COLON", "COMMA", "DOTS"}
)
_SOFT = frozenset((*SOFT_WORDS.values(), "CALLED", "BY", "RATIO"))
_ENDS = frozenset({"_SEPARATOR", "$END", "RBRACE"})
_NAMED = {
    "_SEPARATOR": "the end of the statement", "$END": "the end of the file", "NAME": "a name",
    "DOTTED": "a dotted name", "LABEL": "a label", "NUMBER": "a number", "LENGTH": "a length", "STRING": "a string",
    "SELECTING": "`layers=`",
    "REFERENCE": "a reference", "REGEX": "a regular expression", "COMPARATOR": "a comparison such as `<`",
    "COLON": "`:`", "COMMA": "`,`", "EQUAL": "`=`", "LBRACE": "`{`", "RBRACE": "`}`", "LPAR": "`(`", "RPAR": "`)`",
    "LSQB": "`[`", "RSQB": "`]`", "ARROW": "`->`", "PLUS": "`+`", "MINUS": "`-`", "STAR": "`*`", "SLASH": "`/`",
    "CARET": "`^`", "DOTS": "`..`",
}  # fmt: skip


def expected_in_words(accepted: set[str], *, phase: str | None, has_items: bool) -> str:
    """The terminals that the grammar accepts, as one phrase; ``phase`` is the mode of the current phase, if any."""
    rest = set(accepted) - _SOFT
    phrases: list[str] = []
    if rest >= STATEMENT_WORDS:
        phrases.append("a statement (`dense`, `sparse`, `set`, `repeat`, ...)")
        rest -= STATEMENT_WORDS | {"LABEL"} | _ENDS
    elif {"LABEL", "LBRACE", "DENSE", "SPARSE"} <= rest:
        phrases.append("a branch such as `a: { ... }`")
        rest -= {"LABEL", "LBRACE", "DENSE", "SPARSE"} | (_ENDS - {"RBRACE"})
    if {"UNTIL", "LSQB"} <= rest:
        phrases += ["a target", "a length"] if phase == "sparse" and not has_items else ["a length"]
        rest -= _VALUES | {"LSQB", "HELD"}
    elif "REGEX" in rest and not rest >= _VALUES:
        phrases.append('a selector (a kind of layer, a "glob" or a /regular expression/)')
        rest -= {"NAME", "DOTTED", "STRING", "REGEX"}
    elif "NOT" in rest and rest >= _VALUES:
        phrases.append("a condition" if "RPAR" not in rest else "a value")
        rest -= _VALUES | {"NOT"}
    elif rest >= _VALUES:
        phrases.append("a value")
        rest -= _VALUES | {"REGEX", "LSQB", "HELD"}
    elif {"NAME", "DOTTED"} <= rest:
        phrases.append("the name of a branch")
        rest -= {"NAME", "DOTTED", "ARM"}
    if "SELECTING" in rest:
        phrases.append("an argument")
        rest -= {"SELECTING", "NAME", "UNTIL"}
    ends = rest & _ENDS
    rest -= ends
    plain = rest - _OPERATORS - ({"EQUAL"} if phrases else set())
    if "_SEPARATOR" not in ends:
        plain |= rest & {"COMMA"}
    if not phrases and not plain and not ends & {"_SEPARATOR"}:
        plain = rest
    phrases += sorted(_NAMED.get(kind, f"`{kind.lower()}`") for kind in plain)
    if "_SEPARATOR" in ends:
        phrases.append("the end of the statement")
    elif "RBRACE" in ends:
        phrases.append("`}`")
    return listed(phrases) or "the end of the file"


def listed(phrases: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = list(phrases) or [""]
    return f"{', '.join(most)} or {last}" if most else last


def found_in_words(token: Token, keywords: dict[str, str]) -> str:
    """What was found instead."""
    if token.kind == "$END":
        return "the end of the file"
    if token.kind == "_SEPARATOR":
        return "`;`" if token.text == ";" else "the end of the line"
    if token.text in keywords:
        return f"the reserved word `{token.text}`"
    return f"`{clipped(token.text)}`"
