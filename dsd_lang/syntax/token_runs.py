"""The tokens of a text in runs, one for each statement, which are moved to their present positions when they are read.

Most keystrokes need no tokens, and moving thousands of them would take as long as reading the changed statement.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax import nodes
from dsd_lang.syntax.moving import Move
from dsd_lang.syntax.terminals import Token


class Run(NamedTuple):
    """The tokens from the start of a statement to that of the next one, and how far they have moved since."""

    tokens: list[Token]
    move: Move = Move(0, 0)


class TokenRuns(Sequence[Token]):
    """A sequence of tokens, with a run for each statement; `$END` belongs to the last one."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self._tokens: list[Token] | None = None

    @property
    def tokens(self) -> list[Token]:
        """All tokens at their present positions."""
        if self._tokens is None:
            self._tokens = [token for run in self.runs for token in run.move.tokens(run.tokens)]
        return self._tokens

    def of_statement(self, index: int) -> list[Token]:
        """The tokens of one statement at their present positions, and those up to the next one."""
        run = self.runs[index]
        return run.move.tokens(run.tokens)

    def behind(self, index: int, move: Move) -> list[Run]:
        """The runs from a statement on, moved."""
        lines, offsets = move
        return [Run(tokens, Move(before[0] + lines, before[1] + offsets)) for tokens, before in self.runs[index:]]

    def __len__(self) -> int:
        return sum([len(run.tokens) for run in self.runs])

    @overload
    def __getitem__(self, index: int) -> Token: ...
    @overload
    def __getitem__(self, index: slice) -> list[Token]: ...
    def __getitem__(self, index: int | slice) -> Token | list[Token]:
        return self.tokens[index]

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)


def runs_of(tokens: Sequence[Token], statements: Sequence[nodes.Statement]) -> list[Run]:
    """The runs of statements that were read without a mistake from these tokens."""
    starts = [token.span.start for token in tokens]
    ends = [bisect_left(starts, statement.span.start) for statement in statements[1:]]
    return [Run(list(tokens[start:end])) for start, end in zip([0, *ends], [*ends, len(tokens)], strict=True)]
