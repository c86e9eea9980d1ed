"""Matches regular expressions and globs in time linear in the text, whatever the pattern.

`re` backtracks: for `(a+)+b` it takes exponential time. Here all states that the pattern may be in are followed in
parallel (Thompson, "Regular expression search algorithm", 1968), and their transitions are cached.
`dsd_lang.base.patterns` parses the text of a pattern into the nodes below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple

MOST_REMEMBERED = 4096

At = Literal["start", "end", "boundary", "inside"]
Category = Literal["digit", "word", "space", "no digit", "no word", "no space"]


class Characters(NamedTuple):
    """One character from ranges and categories; if ``is_negated``, one that is in none of them."""

    ranges: tuple[tuple[str, str], ...] = ()
    categories: tuple[Category, ...] = ()
    is_negated: bool = False
    ignores_case: bool = False

    def has(self, character: str) -> bool:
        """Whether the character matches."""
        found = self._lists(character)
        if self.ignores_case and not found:
            others = {character.lower(), character.upper()}
            found = any(self._lists(other) for other in others if len(other) == 1)
        return found is not self.is_negated

    def _lists(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges) or any(
            _IN_CATEGORY[category.removeprefix("no ")](character) is not category.startswith("no ")
            for category in self.categories
        )


def is_word(character: str) -> bool:
    """Whether a character is a letter, a digit or an underscore; false for the empty string."""
    return character.isalnum() or character == "_"


_IN_CATEGORY = {"digit": str.isdecimal, "word": is_word, "space": str.isspace}
ANY = Characters(is_negated=True)


class Assertion(NamedTuple):
    """An assertion about the position in the text (`^`, `$`, `\\b`); reads no character."""

    at: At


class Series(NamedTuple):
    """A sequence of nodes."""

    nodes: tuple[Pattern, ...]


class Choice(NamedTuple):
    """One of several alternatives."""

    nodes: tuple[Pattern, ...]


class Repetition(NamedTuple):
    """A repeated node; ``most`` is None for no upper limit."""

    node: Pattern
    least: int
    most: int | None


Pattern = Characters | Assertion | Series | Choice | Repetition


def size_of(node: Pattern) -> int:
    """How many instructions a node takes: at least 1, so that a million repetitions of nothing count as well."""
    if isinstance(node, Repetition):
        once = size_of(node.node)
        return node.least * once + (once + 2 if node.most is None else (node.most - node.least) * (once + 1))
    if isinstance(node, Choice):
        return 1 + sum(1 + size_of(part) for part in node.nodes)
    return max(1, sum(map(size_of, node.nodes))) if isinstance(node, Series) else 1


class _Instruction(NamedTuple):
    """Reads a character, tests the position, or (neither) continues at once; the last instruction is the match."""

    ways: tuple[int, ...]
    characters: Characters | None = None
    at: At | None = None


States = frozenset[int]
_Context = tuple[bool, bool, bool]  # start of the text, end of the text, word boundary
_NOWHERE: _Context = (False, False, False)


class Automaton:
    """A compiled pattern."""

    def __init__(self, node: Pattern) -> None:
        self._program: list[_Instruction] = []
        self._emit(node)
        self._match = len(self._program)
        self._has_assertions = any(step.at is not None for step in self._program)
        self._closures: dict[tuple[States, _Context], States] = {}
        self._steps: dict[tuple[States, str], States] = {}

    def search(self, text: str) -> bool:
        """Whether the pattern matches any part of the text."""
        return self._walk(text, is_whole=False)

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._walk(text, is_whole=True)

    def _walk(self, text: str, *, is_whole: bool) -> bool:
        first = frozenset((0,))
        states = first
        for index in range(len(text) + 1):
            states = self._closure(states, self._context(text, index) if self._has_assertions else _NOWHERE)
            if self._match in states and (not is_whole or index == len(text)):
                return True
            if index == len(text) or not (states or not is_whole):
                return False
            states = self._step(states, text[index])
            if not is_whole:
                states |= first
        return False

    def _context(self, text: str, index: int) -> _Context:
        before, after = text[index - 1 : index] if index else "", text[index : index + 1]
        return index == 0, index == len(text), is_word(before) is not is_word(after)

    def _closure(self, states: States, context: _Context) -> States:
        """All states that can be reached without reading a character and that read one next, and the match."""
        key = (states, context)
        known = self._closures.get(key)
        if known is None:
            known = self._closures[key] = self._reached(states, context)
            if len(self._closures) > MOST_REMEMBERED:
                self._closures.clear()
        return known

    def _reached(self, states: States, context: _Context) -> States:
        starts, ends, is_boundary = context
        holds = {None: True, "start": starts, "end": ends, "boundary": is_boundary, "inside": not is_boundary}
        seen: set[int] = set()
        waiting: set[int] = set()
        stack = list(states)
        while stack:
            state = stack.pop()
            if state in seen:
                continue
            seen.add(state)
            if state == self._match or self._program[state].characters is not None:
                waiting.add(state)
            elif holds[self._program[state].at]:
                stack += self._program[state].ways
        return frozenset(waiting)

    def _step(self, states: States, character: str) -> States:
        key = (states, character)
        known = self._steps.get(key)
        if known is None:
            readers = (self._program[state] for state in states if state != self._match)
            known = frozenset(
                step.ways[0] for step in readers if step.characters is not None and step.characters.has(character)
            )
            self._steps[key] = known
            if len(self._steps) > MOST_REMEMBERED:
                self._steps.clear()
        return known

    # --- the program --------------------------------------------------------------------------------------------------

    def _emit(self, node: Pattern) -> None:
        """Appends instructions that match the node and then continue."""
        program = self._program
        if isinstance(node, Characters):
            program.append(_Instruction((len(program) + 1,), characters=node))
        elif isinstance(node, Assertion):
            program.append(_Instruction((len(program) + 1,), at=node.at))
        elif isinstance(node, Series):
            for part in node.nodes:
                self._emit(part)
        elif isinstance(node, Choice):
            self._emit_choice(node.nodes)
        else:
            self._emit_repetition(node)

    def _emit_choice(self, nodes: Sequence[Pattern]) -> None:
        fork = self._reserve()
        ways: list[int] = []
        exits: list[int] = []
        for part in nodes:
            ways.append(len(self._program))
            self._emit(part)
            exits.append(self._reserve())
        self._program[fork] = _Instruction(tuple(ways))
        for end in exits:
            self._program[end] = _Instruction((len(self._program),))

    def _emit_repetition(self, node: Repetition) -> None:
        for _ in range(node.least):
            self._emit(node.node)
        if node.most is None:
            fork = self._reserve()
            self._emit(node.node)
            self._program.append(_Instruction((fork,)))
            self._program[fork] = _Instruction((fork + 1, len(self._program)))
            return
        forks: list[int] = []
        for _ in range(node.most - node.least):
            forks.append(self._reserve())
            self._emit(node.node)
        for fork in forks:
            self._program[fork] = _Instruction((fork + 1, len(self._program)))

    def _reserve(self) -> int:
        self._program.append(_Instruction(()))
        return len(self._program) - 1
