"""Word and character error rates of a whole corpus, with jiwer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from dsd_runtime.training.tasks.task import Prediction


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Percent points: edits over all utterances per 100 reference words (wer) or characters including spaces (cer)."""

    wer: float
    cer: float


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Edit distances summed over the corpus, divided by the summed length of the references.

    With an empty reference everything decoded counts as wrong; NaN if there are no reference words at all.

    >>> error_rates(["go on"], ["go in"])
    ErrorRates(wer=50.0, cer=20.0)
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references for {len(hypotheses)} hypotheses")
    pairs = [(" ".join(r.split()), " ".join(h.split())) for r, h in zip(references, hypotheses, strict=True)]
    told = [pair for pair in pairs if pair[0]]
    if not told:
        return ErrorRates(math.nan, math.nan)
    silent = [decoded for reference, decoded in pairs if not reference]
    spoken, decoded = [pair[0] for pair in told], [pair[1] for pair in told]
    words, characters = jiwer.process_words(spoken, decoded), jiwer.process_characters(spoken, decoded)
    return ErrorRates(
        wer=_percent(words, extra=sum(len(text.split()) for text in silent)),
        cer=_percent(characters, extra=sum(len(text) for text in silent)),
    )


def counted_errors(
    references: Sequence[str], hypotheses: Sequence[str], speakers: Sequence[str | None]
) -> list[Prediction]:
    """Edits and sizes of each utterance, in words and in characters, with its texts and its speaker."""
    found: list[Prediction] = []
    for reference, hypothesis, speaker in zip(references, hypotheses, speakers, strict=True):
        told, decoded = " ".join(reference.split()), " ".join(hypothesis.split())
        found.append(
            {
                "reference": told,
                "hypothesis": decoded,
                "word_errors": _edits(jiwer.process_words(told, decoded)) if told else len(decoded.split()),
                "words": len(told.split()),
                "character_errors": _edits(jiwer.process_characters(told, decoded)) if told else len(decoded),
                "characters": len(told),
                **({} if speaker is None else {"speaker": speaker}),
            }
        )
    return found


def _edits(alignment: jiwer.WordOutput | jiwer.CharacterOutput) -> int:
    return int(alignment.substitutions + alignment.deletions + alignment.insertions)


def _percent(alignment: jiwer.WordOutput | jiwer.CharacterOutput, *, extra: int) -> float:
    return 100.0 * (_edits(alignment) + extra) / (alignment.hits + alignment.substitutions + alignment.deletions)
