"""Splits captions into words and builds the vocabulary: NeuralTalk's preprocessing (models.md 2.6).

Index 0 of the vocabulary is both START (as an input) and END (as a target).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

START_END = "#START#"
_DROPPED = re.compile(r"[^a-z0-9 ]")


def plain_words(sentence: str) -> tuple[str, ...]:
    """Lower-case words of letters and digits.

    >>> plain_words("A tri-colored dog 's ball .")
    ('a', 'tricolored', 'dog', 's', 'ball')
    """
    return tuple(_DROPPED.sub("", sentence.lower().replace("\t", " ")).split())


@dataclass(frozen=True, slots=True)
class WordList:
    """Words by index, index 0 the START/END symbol, and how often each occurs in the training captions.

    ``counts[0]`` is the number of training sentences, since each of them ends once.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.words)

    @property
    def index(self) -> dict[str, int]:
        """Each word's index; computed at each call, so keep the result."""
        return {word: number for number, word in enumerate(self.words) if number > 0}


def build_vocabulary(sentences: Iterable[Sequence[str]], threshold: int) -> WordList:
    """The words that occur at least ``threshold`` times, most frequent first, ties in alphabetical order.

    >>> build_vocabulary([("a", "dog"), ("a", "cat", "a")], 2)
    WordList(words=('#START#', 'a'), counts=(2, 3))
    """
    counts: Counter[str] = Counter()
    num_sentences = 0
    for words in sentences:
        counts.update(words)
        num_sentences += 1
    kept = sorted(
        (word for word, count in counts.items() if count >= threshold), key=lambda word: (-counts[word], word)
    )
    return WordList((START_END, *kept), (num_sentences, *(counts[word] for word in kept)))
