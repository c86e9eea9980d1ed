"""Corpus BLEU-1 to 4, with and without the brevity penalty.

NeuralTalk's ``multi-bleu.perl`` has the penalty commented out, so the paper's Table 5 is BLEU without it (models.md
2.6). N-gram counts are sacrebleu's; words are separated by blanks, and nothing is smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_ORDER = 4


@dataclass(frozen=True, slots=True)
class BleuScores:
    """Cumulative BLEU-1 to BLEU-4 in points (0 to 100), and the brevity penalty (0 to 1) not included in them."""

    without_penalty: tuple[float, ...]
    penalty: float

    @property
    def with_penalty(self) -> tuple[float, ...]:
        return tuple(score * self.penalty for score in self.without_penalty)


def corpus_bleu(sentences: Sequence[str], references: Sequence[Sequence[str]]) -> BleuScores:
    """BLEU of the whole corpus; ``references[i]`` are all references of ``sentences[i]``.

    >>> corpus_bleu(["a dog runs"], [["a dog runs", "the dog ran"]]).without_penalty[:3]
    (100.0, 100.0, 100.0)
    """
    if len(sentences) != len(references):
        raise ValueError(f"{len(sentences)} sentences cannot have {len(references)} lists of references")
    if not sentences:
        return BleuScores((0.0,) * MAX_ORDER, 1.0)
    from sacrebleu.metrics.bleu import BLEU

    most = max(len(several) for several in references)
    streams: list[Any] = [[several[i] if i < len(several) else None for several in references] for i in range(most)]
    metric = BLEU(tokenize="none", smooth_method="none", force=True, max_ngram_order=MAX_ORDER)
    score = metric.corpus_score(list(sentences), streams)
    penalty = _brevity_penalty(int(score.sys_len), int(score.ref_len))
    return BleuScores(_cumulative(list(score.counts), list(score.totals)), penalty)


def caption_counts(sentence: str, references: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The n-grams of one caption that its references have, and how many it has, by order from 1 to 4."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize="none", smooth_method="none", force=True, max_ngram_order=MAX_ORDER, effective_order=True)
    score = metric.sentence_score(sentence, list(references))
    return tuple(map(int, score.counts)), tuple(map(int, score.totals))


def _cumulative(counts: Sequence[int], totals: Sequence[int]) -> tuple[float, ...]:
    """The geometric mean of the first n precisions, for each n; 0 from the first order without a match."""
    scores: list[float] = []
    logarithms = 0.0
    for order, (count, total) in enumerate(zip(counts, totals, strict=True), start=1):
        if count == 0:
            return (*scores, *(0.0,) * (len(counts) - len(scores)))
        logarithms += math.log(count / total)
        scores.append(100 * math.exp(logarithms / order))
    return tuple(scores)


def _brevity_penalty(length: int, reference_length: int) -> float:
    """1 for output as long as the closest references, less for shorter output (Papineni et al. 2002)."""
    if length >= reference_length:
        return 1.0
    return math.exp(1 - reference_length / length) if length > 0 else 0.0
