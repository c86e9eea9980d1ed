"""Converts text to CTC symbols and back: the blank has index 0, the characters of the alphabet follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dsd_lang.base.errors import DsdError

BLANK = 0
ENGLISH = (" ", "'", *"abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Characters in order; ``symbols[i]`` has the index ``i + 1``."""

    symbols: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Alphabet:
        """The distinct characters of the texts, sorted by code point, with upper and lower case as in the texts.

        >>> Alphabet.of(["GO", "NO GO"]).symbols
        (' ', 'G', 'N', 'O')
        """
        return cls(tuple(sorted(set().union(*texts))))

    def encode(self, text: str) -> list[int]:
        """Indices of the characters; characters outside the alphabet (only in evaluation texts) are left out."""
        index = {symbol: number for number, symbol in enumerate(self.symbols, start=BLANK + 1)}
        return [index[character] for character in text if character in index]

    def require(self, text: str, location: str) -> None:
        """Raises DsdError naming ``location`` if the text has a character outside of the alphabet."""
        unknown = sorted(set(text) - set(self.symbols))
        if unknown:
            raise DsdError(
                f"{location}: the character `{unknown[0]}` is not in the alphabet `{''.join(self.symbols)}`",
                help="normalise the transcripts (letter case, punctuation) or use an alphabet that has it",
            )


def collapse(path: Sequence[int], symbols: Sequence[str]) -> str:
    """Converts a best path (one index per frame) to text: repeats collapsed, blanks dropped.

    >>> collapse([1, 1, 0, 1, 2, 2], ("a", "b"))
    'aab'
    """
    kept = (index for position, index in enumerate(path) if position == 0 or index != path[position - 1])
    return "".join(symbols[index - 1] for index in kept if index != BLANK)
