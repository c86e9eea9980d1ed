"""The captioning task: token loss, perplexity, and BLEU of decoded captions (models.md 2.6).

Shape legend: N batch, D features, L words, M words without padding, V vocabulary, H hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_runtime.data.batch import Batch, CaptionBatch
from dsd_runtime.data.captions.source import IGNORED
from dsd_runtime.models.frames import valid_positions
from dsd_runtime.training.tasks.bleu import MAX_ORDER, caption_counts, corpus_bleu
from dsd_runtime.training.tasks.captioning_decode import MAX_WORDS, beam_search, greedy
from dsd_runtime.training.tasks.task import Prediction

DECODED_AT_ONCE = 500
_BLEU = tuple(f"bleu{order}{suffix}" for suffix in ("", "_bp") for order in range(1, MAX_ORDER + 1))


@dataclass(frozen=True, slots=True)
class CaptioningTask:
    """``vocabulary`` names each output, with END at index 0; ``beam_size`` 1 is greedy decoding, as in the paper."""

    vocabulary: tuple[str, ...]
    beam_size: int = 1
    max_words: int = MAX_WORDS
    name: str = "captioning"
    metrics: tuple[str, ...] = ("loss", "ppl", *_BLEU)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The summed negative log likelihood of the batch's tokens, including END, per caption."""
        assert isinstance(batch, CaptionBatch)
        return token_loss(model, batch) / len(batch)

    def loss_and_rows(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits [M, V] of the words and ENDs."""
        assert isinstance(batch, CaptionBatch)
        logits, targets = _words(model, batch)
        return _token_loss(logits, targets) / len(batch), _without_padding(logits, batch)

    def rows(self, model: nn.Module, batch: Batch) -> Tensor:
        """The logits [M, V] of the words and ENDs."""
        assert isinstance(batch, CaptionBatch)
        return _without_padding(_words(model, batch)[0], batch)

    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], *, keep: list[Prediction] | None = None
    ) -> dict[str, float]:
        """Perplexity over all (image, caption) pairs; BLEU of one decoded caption per image with references."""
        total: Tensor | None = None
        num_tokens = num_captions = 0
        images: list[Tensor] = []
        references: list[tuple[str, ...]] = []
        for batch in batches:
            assert isinstance(batch, CaptionBatch)
            loss = token_loss(model, batch).double()
            total = loss if total is None else total + loss
            num_tokens += int(batch.lengths.sum())
            num_captions += len(batch)
            first = [row for row, several in enumerate(batch.references) if several]
            if first:
                images.append(batch.features[torch.tensor(first, device=batch.features.device)])
                references.extend(batch.references[row] for row in first)
        if total is None:
            return {}
        nll = float(total)
        metrics = {"loss": nll / num_captions, "ppl": _perplexity(nll / num_tokens)}
        if references:
            captions = self.decode(model, torch.cat(images))
            metrics.update(_bleu_metrics(captions, references))
            if keep is not None:
                keep += map(_prediction, captions, references)
        return metrics

    def decode(self, model: nn.Module, features: Tensor) -> list[str]:
        """A caption for each of [N, D], words joined by spaces."""
        captions: list[str] = []
        for chunk in torch.split(features, DECODED_AT_ONCE):
            if self.beam_size == 1:
                decoded = greedy(model, chunk, max_words=self.max_words)
            else:
                decoded = beam_search(model, chunk, beam_size=self.beam_size, max_words=self.max_words)
            captions.extend(" ".join(self.vocabulary[word] for word in words) for words in decoded)
        return captions


def token_loss(model: nn.Module, batch: CaptionBatch) -> Tensor:
    """The summed cross entropy of the batch's words and ENDs, without padding."""
    return _token_loss(*_words(model, batch))


def _token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")


def _words(model: nn.Module, batch: CaptionBatch) -> tuple[Tensor, Tensor]:
    """The logits [M, V] and the targets [M] of the words and ENDs, perhaps with padding.

    If a model has ``states(features, words) -> [N, L, H]`` and a last layer ``Wd``, logits are computed only for words
    that are not padding, half of a random batch; for any other model, for all [N, L, V].
    """
    states, last = getattr(model, "states", None), getattr(model, "Wd", None)
    if callable(states) and isinstance(last, nn.Module):
        words = _positions(batch)
        of_words = states(batch.features, batch.words).flatten(0, 1).index_select(0, words)
        return last(of_words), batch.targets.flatten().index_select(0, words)
    return model(batch.features, batch.words).flatten(0, 1), batch.targets.flatten()


def _without_padding(logits: Tensor, batch: CaptionBatch) -> Tensor:
    """The logits [M, V] of :func:`_words` without those of padding."""
    words = _positions(batch)
    return logits if len(logits) == len(words) else logits.index_select(0, words)


def _positions(batch: CaptionBatch) -> Tensor:
    """The flat indices of the words and ENDs among [N, L]."""
    return valid_positions(batch.lengths, batch.targets.shape[1], batch.targets.device)


def _perplexity(nats_per_token: float) -> float:
    """2 to the mean of -log2 p, which is e to the mean of -log p."""
    return math.exp(nats_per_token) if nats_per_token < 700 else math.inf


def _prediction(caption: str, references: Sequence[str]) -> Prediction:
    matches, totals = caption_counts(caption, references)
    return {"hypothesis": caption, "references": list(references), "matches": list(matches), "totals": list(totals)}


def _bleu_metrics(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    scores = corpus_bleu(captions, references)
    plain = {f"bleu{order}": score for order, score in enumerate(scores.without_penalty, start=1)}
    penalised = {f"bleu{order}_bp": score for order, score in enumerate(scores.with_penalty, start=1)}
    return plain | penalised
