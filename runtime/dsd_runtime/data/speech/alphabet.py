"""Converts texts to CTC symbols and back: the blank is index 0, the alphabet's characters follow."""

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
        """The distinct characters of the texts, sorted by code point, in the letter case the texts have.

        >>> Alphabet.of(["GO", "NO GO"]).symbols
        (' ', 'G', 'N', 'O')
        """
        return cls(tuple(sorted(set().union(*texts))))

    def encode(self, text: str) -> list[int]:
        """Indices of the characters; those outside the alphabet (only ever in evaluation texts) are left out."""
        index = {symbol: number for number, symbol in enumerate(self.symbols, start=BLANK + 1)}
        return [index[character] for character in text if character in index]

    def require(self, text: str, place: str) -> None:
        """DsdError naming ``place`` when the text has a character that a model could never learn to write."""
        unknown = sorted(set(text) - set(self.symbols))
        if unknown:
            raise DsdError(
                f"{place}: the character `{unknown[0]}` is not in the alphabet `{''.join(self.symbols)}`",
                help="normalise the transcripts (letter case, punctuation) or use an alphabet that has it",
            )


def collapse(path: Sequence[int], symbols: Sequence[str]) -> str:
    """A best path (one index for each frame) to text: repeats collapsed, blanks dropped.

    >>> collapse([1, 1, 0, 1, 2, 2], ("a", "b"))
    'aab'
    """
    kept = (index for position, index in enumerate(path) if position == 0 or index != path[position - 1])
    return "".join(symbols[index - 1] for index in kept if index != BLANK)
