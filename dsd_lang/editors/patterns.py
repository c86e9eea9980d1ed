"""Ordered patterns that classify every part of a schedule's text; one table for all highlighters.

The patterns describe by regular expressions what `syntax/lexer.py` implements by hand. They work line by line, with
brackets as regions, which both Pygments and TextMate grammars support. They are valid for Python's `re` and for
Oniguruma.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.editors.vocabulary import Vocabulary
from dsd_lang.syntax.table import load_table

PatternPart = Literal[
    "blank", "comment", "directive", "code", "string", "regex", "continuation", "number", "unit", "operator", "arrow",
    "assignment", "comma", "separator", "brace", "parenthesis", "bracket", "colon", "mode", "keyword", "logical",
    "constant", "label", "binding", "path", "argument", "parameter", "option", "text", "layer", "function", "metric",
    "reference", "moment", "rate", "variable", "illegal",
]  # fmt: skip


Highlight = tuple[str, PatternPart]


class PatternRule(NamedTuple):
    """Consecutive parts of text, each with a pattern without groups and its category; then what must follow."""

    stretches: tuple[Highlight, ...]
    ahead: str = ""

    @property
    def pattern(self) -> str:
        """One regular expression with a group for each part."""
        return "".join(f"({pattern})" for pattern, _ in self.stretches) + self.ahead


class Region(NamedTuple):
    """The text between two brackets: the rule that opens it, the patterns that end it, and the states inside."""

    name: str
    opens: PatternRule
    ends: tuple[PatternRule, ...]
    inside: tuple[str, ...]


class Patterns(NamedTuple):
    """Rules by the name of their group, regions, and the groups that apply outside of all brackets."""

    groups: dict[str, tuple[PatternRule, ...]]
    regions: tuple[Region, ...]
    outside: tuple[str, ...]


_BLANK = "[ \\t]*"
_BLANKS = "[ \\t]+"
_WORD_END = "(?![\\w.])"
_EQUALS = f"{_BLANK}=(?!=)"


def patterns(words: Vocabulary) -> Patterns:
    """The complete table, for text outside of brackets, in `( )` and in `[ ]`."""
    known = load_table().patterns
    name = known["NAME"]
    free = f"(?!(?:{_any(words.reserved)}){_WORD_END}){name}"
    groups = {
        "comments": _comments(),
        "texts": _texts(known),
        "labels": (_rule((free, "label"), ahead=f"(?={_BLANK}:)"),),
        "expressions": tuple(_expressions(words, known, free)),
        "selected": (_rule(("^[ \\t]*", "blank"), (known["REGEX"], "regex")),),
        "values": (*_references(words, known), *_numbers(words, known), *_marks(known)),
        "names": tuple(_names(words, known, name)),
        "rest": (_rule(("[^\\s]", "illegal")),),
    }
    shared = ("comments", "texts", "continued", "expressions", "values", "parentheses", "list", "names", "rest")
    inside = tuple(group for group in shared if group != "rest")
    stop = _rule(("(?=[;{}])", "blank"))
    statement = _rule((f"(?=(?:{_any((*words.modes, *words.statements))}){_WORD_END}(?!{_BLANK}[=(]))", "blank"))
    regions = (
        Region(  # a list continued on the next line, the only case of a regular expression at the start of a line
            "continued",
            _rule((",", "comma"), ahead=f"(?={_BLANK}(?:#|\\r?$))"),
            (_rule((known["REGEX"], "regex")), _rule(("(?=[^\\s#])", "blank"))),
            ("comments",),
        ),
        Region(
            "parentheses",
            _rule(("\\(", "parenthesis"), (_BLANK, "blank"), (f"(?:{known['REGEX']})?", "regex")),
            (_rule(("\\)", "parenthesis")), stop, statement),
            ("comments", "texts", "call-values", *inside[2:], "rest"),
        ),
        Region(
            "list",
            _rule(("\\[", "bracket"), (_BLANK, "blank"), (f"(?:{known['REGEX']})?", "regex")),
            (_rule(("\\]", "bracket")), stop, statement),
            ("comments", "texts", "selected", *inside[2:], "rest"),
        ),
    )
    groups["call-values"] = _call_values(words, name)
    return Patterns(groups, regions, ("comments", "texts", "labels", *shared[2:]))


def _rule(*stretches: Highlight, ahead: str = "") -> PatternRule:
    return PatternRule(stretches, ahead)


def _assigned(left: Highlight, right: Highlight, *, ahead: str) -> PatternRule:
    """A rule for `left = right`."""
    return _rule(left, (_BLANK, "blank"), ("=(?!=)", "assignment"), (_BLANK, "blank"), right, ahead=ahead)


def _any(words: Iterable[str]) -> str:
    """Any of the words, longer ones first so that a prefix does not hide them."""
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word)))


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{_any(words)})"


def _comments() -> tuple[PatternRule, ...]:
    return (
        _rule(
            ("#[ \\t]*", "comment"),
            ("dsd:[ \\t]*ignore\\b", "directive"),
            ("\\[?", "comment"),
            ("(?:(?<=\\[)[^\\]\\r\\n]*)?", "code"),
            ("[^\\r\\n]*", "comment"),
        ),
        _rule(("#[ \\t]*", "comment"), ("fmt:[ \\t]*(?:skip|off|on)\\b", "directive"), ("[^\\r\\n]*", "comment")),
        _rule(("#[^\\r\\n]*", "comment")),
        _rule(("//[^\\r\\n]*", "illegal")),
    )


def _texts(known: dict[str, str]) -> tuple[PatternRule, ...]:
    return (
        _rule((known["STRING"], "string")),
        _rule(("[\"'][^\\r\\n]*", "illegal")),
        _rule(("\\\\", "continuation"), ahead=f"(?={_BLANK}(?:#|\\r?$))"),
        _rule(("\\\\", "illegal")),
    )


def _expressions(words: Vocabulary, known: dict[str, str], name: str) -> Iterable[PatternRule]:
    """Names whose category follows from the word before or after them."""
    path = f"(?:{known['ARM']}|{known['DOTTED']}|{name})"
    alone = f"{_WORD_END}(?!\\[|{_BLANK}[:=])"
    value_end = f"{_WORD_END}(?!{_BLANK}:)"
    yield _rule(("set", "function"), ahead=f"(?={_BLANK}\\()")
    yield _rule(("as", "keyword"), (_BLANKS, "blank"), (name, "binding"), ahead=alone)
    for word in ("compare", "vs"):
        yield _rule((word, "keyword"), (_BLANKS, "blank"), (path, "path"), ahead=alone)
    yield _rule(("in", "keyword"), (_BLANK, "blank"), (known["REGEX"], "regex"))
    yield from _openers(words, name)
    yield _rule((_one_of(words.modes), "mode"), ahead=_WORD_END)
    yield _rule((_one_of(words.logical), "logical"), ahead=_WORD_END)
    yield _rule((_one_of(words.targets), "constant"), ahead=_WORD_END)
    yield _rule((_one_of((*words.statements, *words.connectives)), "keyword"), ahead=_WORD_END)
    yield _rule((name, "binding"), ahead=f"(?={_BLANKS}in\\b)")
    for argument, options in words.options.items():
        functions = [option for option in options if option in words.functions]
        if functions:
            yield _assigned((argument, "argument"), (_one_of(functions), "function"), ahead=f"(?={_BLANK}\\()")
        plain = [option for option in options if option not in words.reserved]
        yield _assigned((argument, "argument"), (_one_of(plain), "option"), ahead=value_end)
    yield _assigned((_one_of(words.text_arguments), "argument"), (name, "text"), ahead=value_end)
    yield _rule((name, "argument"), ahead=f"(?={_EQUALS})")
    yield _rule(("(?<![=!<>])=(?!=)", "assignment"), (_BLANK, "blank"), (known["REGEX"], "regex"))
    yield _rule((",", "comma"), (_BLANK, "blank"), (known["REGEX"], "regex"))


def _openers(words: Vocabulary, name: str) -> Iterable[PatternRule]:
    """Words that are reserved only where a statement begins, or behind a range, known by what follows."""
    follows = {
        "let": f"(?={_BLANKS}{name}{_BLANK}=(?!=))",
        "def": f"(?={_BLANKS}{name}{_BLANK}\\()",
        "use": f"(?={_BLANK}[\"'])",
        "within": f"(?={_BLANKS}[\\w.(-])",
    }
    for word in words.openers:
        yield _rule((f"(?<![\\w.@=]){word}", "keyword"), ahead=follows[word])
    yield _rule(("(?<![\\w.@=])by", "keyword"), ahead=f"(?={_BLANKS}[\\w.(-])")


def _call_values(words: Vocabulary, name: str) -> tuple[PatternRule, ...]:
    """`order=largest` in parentheses: a parameter and, if it is one, its word."""
    return (
        _assigned((name, "parameter"), (_one_of(words.switches), "constant"), ahead=_WORD_END),
        _assigned((name, "parameter"), (name, "option"), ahead=f"{_WORD_END}(?!{_BLANK}\\()"),
        _rule((name, "parameter"), ahead=f"(?={_EQUALS})"),
    )


def _references(words: Vocabulary, known: dict[str, str]) -> tuple[PatternRule, ...]:
    name = known["NAME"]
    moment = f"\\.(?:{_any(words.moments)}|{known['LENGTH']})"
    return (
        _rule((f"@{name}(?:\\.{name})*?", "reference"), (moment, "moment"), ahead=_WORD_END),
        _rule((known["REFERENCE"], "reference")),
    )


def _numbers(words: Vocabulary, known: dict[str, str]) -> tuple[PatternRule, ...]:
    unit = _one_of(words.units)
    digits = _digits(known["LENGTH"], words)
    number = known["NUMBER"]
    return (
        _rule((digits, "number"), (unit, "unit"), ahead="(?!\\w)"),
        _rule((number, "number"), (_BLANK, "blank"), (":", "colon"), (_BLANK, "blank"), (number, "number")),
        _rule((digits, "number"), ("%", "unit"), ahead=_WORD_END),
        _rule((number, "number")),
        _rule(("\\.?\\d[\\w.%]*", "illegal")),
    )


def _digits(length: str, words: Vocabulary) -> str:
    """The grammar's pattern of a length without its unit."""
    digits, unit, _ = length.rpartition(f"(?:{'|'.join(words.units)})")
    if not unit:
        raise ValueError("the grammar's LENGTH no longer ends in its units")
    return digits


def _marks(known: dict[str, str]) -> tuple[PatternRule, ...]:
    return (
        _rule(("->", "arrow")),
        _rule(("\\.\\.", "operator")),
        _rule((known["COMPARATOR"], "operator")),
        _rule(("=", "assignment")),
        _rule((",", "comma")),
        _rule((";", "separator")),
        _rule((":", "colon")),
        _rule(("[{}]", "brace")),
        _rule(("[-+*/^]", "operator")),
    )


def _names(words: Vocabulary, known: dict[str, str], name: str) -> Iterable[PatternRule]:
    """All other names: metrics, layers, calls, words with a meaning, variables."""
    yield _rule((f"(?!{name}\\[[^\\]\\r\\n]*:){known['ARM']}", "path"))
    split = f"{_one_of(words.splits)}\\.{name}"
    metric = f"(?:{split}|{_any(words.metrics_without_split)})"
    yield _rule((f"(?:{name}\\.)*?", "path"), (metric, "metric"), ahead=_WORD_END)
    part = f"(?:\\.{_one_of(words.parts)})?"
    yield _rule((f"{_one_of((*words.kinds, *words.roles))}{part}", "layer"), ahead=_WORD_END)
    yield _rule((known["DOTTED"], "path"))
    yield _rule((name, "function"), ahead=f"(?={_BLANK}\\()")
    yield _rule((_one_of(words.rates), "rate"), ahead=_WORD_END)
    yield _rule((name, "variable"))
