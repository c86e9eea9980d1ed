"""Compiles a regular expression or a glob into an automaton that matches in linear time.

The syntax is that of Python's `re`, without look-around and back references, which cannot be matched in linear time.
"""

from __future__ import annotations

from functools import lru_cache
from string import hexdigits
from sys import maxunicode

from dsd_lang.base.automaton import (
    ANY,
    Assertion,
    Automaton,
    Category,
    Characters,
    Choice,
    Pattern,
    Repetition,
    Series,
    size_of,
)
from dsd_lang.base.errors import DsdError

MOST_INSTRUCTIONS = 1000
MOST_NESTED = 50
PARTS_IN_WORDS = (
    r"`.`, `[a-z]`, `*`, `+`, `?`, `{2,3}`, `|`, `( )`, `^`, `$`, `\d`, `\w`, `\s` and `\b` have a meaning in it"
)
_CATEGORIES: dict[str, Category] = {
    "d": "digit", "w": "word", "s": "space", "D": "no digit", "W": "no word", "S": "no space",
}  # fmt: skip
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_ASSERTIONS = {"b": Assertion("boundary"), "B": Assertion("inside"), "A": Assertion("start"), "Z": Assertion("end")}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")


class PatternError(DsdError):
    """A text that is not a regular expression, or that cannot be matched in linear time; the message says why."""


@lru_cache(maxsize=256)
def regular_expression(text: str) -> Automaton:
    """The automaton of a regular expression; raises :class:`PatternError`.

    >>> regular_expression(r"block[12]\\.conv").search("net.block2.conv")
    True
    """
    node = _Reader(text).whole()
    if size_of(node) > MOST_INSTRUCTIONS:
        raise PatternError("it is too large", help="write shorter repetitions, or several selectors")
    return Automaton(node)


@lru_cache(maxsize=256)
def glob(text: str) -> Automaton:
    """The automaton of a glob: `*` is any text, `?` one character, `[ab]` and `[!ab]` one from a set.

    >>> glob("layer*.conv[12]").fullmatch("layer3.0.conv2")
    True
    """
    nodes: list[Pattern] = []
    position = 0
    while position < len(text):
        character = text[position]
        first = position + (3 if text[position + 1 : position + 2] == "!" else 2)
        end = text.find("]", first) if character == "[" else -1
        position += 1
        if character == "*":
            nodes.append(Repetition(ANY, 0, None))
        elif character == "?":
            nodes.append(ANY)
        elif end > 0:
            nodes.append(_glob_set(text[position:end]))
            position = end + 1
        else:
            nodes.append(_one(character))
    return Automaton(Series(tuple(nodes)))


def _glob_set(body: str) -> Characters:
    is_negated = body.startswith("!")
    body = body[1:] if is_negated else body
    ranges: list[tuple[str, str]] = []
    while body:
        is_range = len(body) > 2 and body[1] == "-"
        ranges.append((body[0], body[2] if is_range else body[0]))
        body = body[3 if is_range else 1 :]
    return Characters(tuple(ranges), is_negated=is_negated)


def _one(character: str, *, ignores_case: bool = False) -> Characters:
    return Characters(((character, character),), ignores_case=ignores_case)


class _Reader:
    """Parses a regular expression by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._ignores_case = text.startswith("(?i)")
        if self._ignores_case:
            self._position = 4

    def whole(self) -> Pattern:
        node = self._choice()
        if self._position < len(self._text):
            raise PatternError("a `)` has no matching `(`")
        return node

    def _peek(self, length: int = 1) -> str:
        return self._text[self._position : self._position + length]

    def _take(self) -> str:
        self._position += 1
        return self._text[self._position - 1]

    def _takes(self, text: str) -> bool:
        found = self._peek(len(text)) == text
        if found:
            self._position += len(text)
        return found

    def _choice(self) -> Pattern:
        options = [self._series()]
        while self._takes("|"):
            options.append(self._series())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _series(self) -> Pattern:
        nodes: list[Pattern] = []
        while self._peek() not in ("", "|", ")"):
            node = self._atom()
            if node is not None:
                nodes.append(self._repeated(node))
        return nodes[0] if len(nodes) == 1 else Series(tuple(nodes))

    # --- repetitions --------------------------------------------------------------------------------------------------

    def _repeated(self, node: Pattern) -> Pattern:
        is_group = self._text[self._position - 1] == ")"
        times = self._times()
        if times is None:
            return node
        if isinstance(node, Assertion) and not is_group:
            raise PatternError("an anchor such as `^` is repeated")
        if self._takes("+"):
            raise PatternError("possessive repetitions such as `a++` are not part of it", help=PARTS_IN_WORDS)
        self._takes("?")  # lazy or greedy makes no difference to whether there is a match
        if self._times() is not None:
            raise PatternError("a repetition is repeated", help="put brackets around the inner one: `(a+)*`")
        return Repetition(node, *times)

    def _times(self) -> tuple[int, int | None] | None:
        """The bounds of the repetition at the current position, if there is one."""
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._takes(sign):
                return times
        return self._counted() if self._peek() == "{" else None

    def _counted(self) -> tuple[int, int | None] | None:
        end = self._text.find("}", self._position)
        least, comma, most = self._text[self._position + 1 : max(end, 0)].partition(",")
        if (
            end < 0
            or not (least or comma)
            or not all(part.isascii() and part.isdigit() for part in (least, most) if part)
        ):
            return None  # as in Python, a `{` that is not a count is a literal
        if max(len(least), len(most)) > 4:
            raise PatternError("it is too large", help="write shorter repetitions, or several selectors")
        self._position = end + 1
        bounds = int(least or 0), (int(most) if most else None) if comma else int(least)
        if bounds[1] is not None and bounds[0] > bounds[1]:
            raise PatternError(f"`{{{least},{most}}}` counts from more to less")
        return bounds

    # --- what is repeated ---------------------------------------------------------------------------------------------

    def _atom(self) -> Pattern | None:
        """The next node; None for a comment."""
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escape()
        if character in "^$":
            return Assertion("start" if character == "^" else "end")
        if character == ".":
            return Characters((("\n", "\n"),), is_negated=True)
        if character in "*+?":
            raise PatternError(
                f"there is nothing for `{character}` to repeat", help=f"write `\\{character}` for the sign itself"
            )
        return _one(character, ignores_case=self._ignores_case)

    def _group(self) -> Pattern | None:
        opening = self._position - 1
        if self._takes("?#"):
            self._position = self._text.find(")", self._position) + 1 or self._unclosed()
            return None
        if self._takes("?P<"):
            end = self._text.find(">", self._position)
            if end < 0 or not self._text[self._position : end].isidentifier():
                raise PatternError("a group has an invalid name", help="write it as `(?P<name>...)`")
            self._position = end + 1
        elif self._peek() == "?" and not self._takes("?:"):
            raise self._unsupported(self._text[opening : opening + 4])
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise PatternError(f"its brackets nest deeper than {MOST_NESTED}")
        node = self._choice()
        self._depth -= 1
        if not self._takes(")"):
            self._unclosed()
        return node

    def _unclosed(self) -> int:
        raise PatternError("a `(` is never closed", help="close it with `)`, or write `\\(` for the sign itself")

    def _unsupported(self, opening: str) -> PatternError:
        if opening.startswith(_LOOKS):
            return PatternError("look-ahead and look-behind are not part of it", help=PARTS_IN_WORDS)
        if opening.startswith(("(?P=", "(?(")):
            return PatternError("back references are not part of it", help=PARTS_IN_WORDS)
        return PatternError(
            f"a group cannot begin with `{opening[:3]}`",
            help="`(?:...)` groups, `(?i)` at the very beginning ignores case",
        )

    def _escape(self) -> Pattern:
        if not self._peek():
            raise PatternError("a `\\` ends it", help="write `\\\\` for the sign itself")
        character = self._peek()
        if character in _ASSERTIONS:
            self._position += 1
            return _ASSERTIONS[character]
        if character in _CATEGORIES:
            self._position += 1
            return Characters(categories=(_CATEGORIES[character],))
        if character in "123456789":
            raise PatternError("back references are not part of it", help=PARTS_IN_WORDS)
        return _one(self._escaped_character(), ignores_case=self._ignores_case)

    def _escaped_character(self) -> str:
        character = self._take()
        if character in _HEX_DIGITS:
            digits = self._peek(_HEX_DIGITS[character])
            self._position += len(digits)
            if (
                len(digits) < _HEX_DIGITS[character]
                or not set(digits) <= set(hexdigits)
                or int(digits, 16) > maxunicode
            ):
                raise PatternError(f"`\\{character}{digits}` is not a character")
            return chr(int(digits, 16))
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isascii() and character.isalnum():
            raise PatternError(f"`\\{character}` means nothing", help=PARTS_IN_WORDS)
        return character

    def _set(self) -> Pattern:
        is_negated = self._takes("^")
        ranges: list[tuple[str, str]] = []
        categories: list[Category] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            first = self._member()
            if isinstance(first, str) and self._peek() == "-" and self._peek(2)[1:] not in ("]", ""):
                self._position += 1
                last = self._member()
                if not isinstance(last, str) or last < first:
                    raise PatternError(
                        "a range in `[ ]` runs from its last character to its first", help="write `[a-z]`"
                    )
                ranges.append((first, last))
            elif isinstance(first, str):
                ranges.append((first, first))
            else:
                categories += first.categories
        self._position += 1
        return Characters(tuple(ranges), tuple(categories), is_negated, self._ignores_case)

    def _member(self) -> str | Characters:
        """A character or a category in brackets."""
        if not self._peek():
            raise PatternError("a `[` is never closed", help="close it with `]`, or write `\\[` for the sign itself")
        character = self._take()
        if character != "\\" or not self._peek():
            return character
        if self._peek() in _CATEGORIES:
            return Characters(categories=(_CATEGORIES[self._take()],))
        if self._takes("b"):
            return "\b"
        return self._escaped_character()
