"""The CTC task: loss over all alignments, greedy decoding, word and character error rates.

Shape legend: N batch, T output frames of the model, S symbols with the blank at 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsd_runtime.data.batch import Batch, SpeechBatch
from dsd_runtime.data.speech.alphabet import BLANK
from dsd_runtime.models.frames import valid_positions
from dsd_runtime.training.tasks.ctc_decoding import greedy_decode
from dsd_runtime.training.tasks.ctc_errors import counted_errors, error_rates
from dsd_runtime.training.tasks.task import Prediction


class CtcTask:
    """Models `model(features [N, T0, F], lengths [N]) -> (logits [N, T, S], lengths [N])`.

    The loss is the negative log likelihood of each utterance, summed over its symbols and averaged over the batch (as
    in warp-ctc, for which learning rates such as 3e-4 with a gradient norm clipped at 100 were chosen). Utterances with
    more symbols than frames have no alignment: they add 0 and are counted.
    """

    name = "ctc"
    metrics = ("loss", "wer", "cer")

    def __init__(self, alphabet: Sequence[str]) -> None:
        self._alphabet = tuple(alphabet)
        self._too_short = 0
        self._num_seen = 0
        self._has_warned = False

    @property
    def num_too_short(self) -> int:
        """The number of utterances in ``loss`` and ``evaluate`` so far that were too short for their transcript."""
        return self._too_short

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self._loss(*_outputs(model, _speech(batch)), _speech(batch))

    def loss_and_rows(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits [M, S] of the valid frames."""
        logits, lengths = _outputs(model, _speech(batch))
        return self._loss(logits, lengths, _speech(batch)), _valid_frames(logits, lengths)

    def rows(self, model: nn.Module, batch: Batch) -> Tensor:
        """The logits [M, S] of the valid frames."""
        return _valid_frames(*_outputs(model, _speech(batch)))

    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], *, keep: list[Prediction] | None = None
    ) -> dict[str, float]:
        """`loss` (mean over utterances), `wer` and `cer` (percent points, whole corpus)."""
        references: list[str] = []
        hypotheses: list[str] = []
        speakers: list[str | None] = []
        total_loss = 0.0
        for batch in map(_speech, batches):
            logits, lengths = _outputs(model, batch)
            total_loss += float(self._losses(logits, lengths, batch).detach().sum())
            references += batch.texts
            speakers += batch.speakers or (None,) * len(batch)
            self._num_seen += len(batch)
            hypotheses += greedy_decode(logits, lengths, self._alphabet)
        self._warn_too_short()
        rates = error_rates(references, hypotheses)
        if keep is not None:
            keep += counted_errors(references, hypotheses, speakers)
        return {"loss": total_loss / max(1, len(references)), "wer": rates.wer, "cer": rates.cer}

    def _loss(self, logits: Tensor, lengths: Tensor, batch: SpeechBatch) -> Tensor:
        self._num_seen += len(batch)
        return self._losses(logits, lengths, batch).mean()

    def _losses(self, logits: Tensor, lengths: Tensor, batch: SpeechBatch) -> Tensor:
        """Losses [N] float32, 0 for an utterance without an alignment."""
        if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
            logits, batch = logits.cpu(), batch.to("cpu")  # CUDA's CTC gradient is not deterministic
        log_probabilities = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
        on_host = lengths.cpu()
        losses = F.ctc_loss(  # it reads targets and lengths on the CPU
            log_probabilities,
            batch.targets,
            on_host,
            batch.target_lengths,
            blank=BLANK,
            reduction="none",
            zero_infinity=True,
        )
        self._too_short += int((_frames_needed(batch) > on_host).sum())
        return losses

    def _warn_too_short(self) -> None:
        """Warns only once; further warnings would say the same."""
        if self.num_too_short and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{self.num_too_short} of {self._num_seen:,} utterances so far have more symbols than frames: they add "
                "nothing to the loss (a model with a smaller stride makes more frames)",
                RuntimeWarning,
                stacklevel=3,
            )


def _outputs(model: nn.Module, batch: SpeechBatch) -> tuple[Tensor, Tensor]:
    """The model's logits and lengths; it gets the lengths on the CPU if it says that it takes them there."""
    is_on_host = getattr(model, "takes_host_lengths", False)
    lengths = batch.lengths if is_on_host else batch.lengths.to(batch.features.device, non_blocking=True)
    logits, output_lengths = model(batch.features, lengths)
    return logits, output_lengths


def _valid_frames(logits: Tensor, lengths: Tensor) -> Tensor:
    """Logits [N, T, S] to the rows [M, S] of the valid frames."""
    return logits.flatten(0, 1).index_select(0, valid_positions(lengths, logits.shape[1], logits.device))


def _frames_needed(batch: SpeechBatch) -> Tensor:
    """Frames [N] needed by the shortest alignment: one for each symbol, and a blank between two equal ones."""
    owner = torch.repeat_interleave(torch.arange(len(batch)), batch.target_lengths, output_size=batch.targets.shape[0])
    is_repeat = (batch.targets[1:] == batch.targets[:-1]) & (owner[1:] == owner[:-1])
    return batch.target_lengths.index_add(0, owner[1:], is_repeat.long())


def _speech(batch: Batch) -> SpeechBatch:
    if not isinstance(batch, SpeechBatch):
        raise ValueError(f"the CTC task needs speech batches, not {type(batch).__name__}")
    return batch
