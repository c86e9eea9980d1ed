"""NeuralTalk with the exact parameters of the paper: predicts the next word from image features and words.

``model(features [N, D], words [N, L]) -> logits [N, L, V]`` with words = [START, w1, ...]. The image is the LSTM's
first input and its output is dropped. For decoding: ``start(features)``, then ``advance(state, words)`` word by word.

Shape legend: N samples, D feature size, L words, V vocabulary with START/END at index 0, H hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dsd_runtime.models.lstm import CaptionLstm

State = tuple[Tensor, Tensor]


def _log_frequencies(word_counts: Sequence[int]) -> list[float]:
    """Log counts shifted so that the most frequent word has 0; a word that never occurs counts as once."""
    logs = [math.log(max(count, 1)) for count in word_counts]
    return [value - max(logs) for value in logs]


class NeuralTalk(nn.Module):
    """2,876,138 parameters at V=2538, D=4096, H=256. ``word_counts`` [V] sets the first output bias."""

    dropout_batch_dim = 1
    """The dimension of samples where it drops: several processes share the dropout of a batch along it."""

    def __init__(
        self,
        *,
        hidden: int = 256,
        features: int = 4096,
        vocabulary: int = 2538,
        dropout: float = 0.5,
        word_counts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if word_counts and len(word_counts) != vocabulary:
            raise ValueError(f"{len(word_counts)} word counts for a vocabulary of {vocabulary}")
        self._first_bias = _log_frequencies(word_counts) if word_counts else [0.0] * vocabulary
        self.We = nn.Linear(features, hidden)
        self.Ws = nn.Embedding(vocabulary, hidden)
        self.WLSTM = CaptionLstm(hidden)
        self.Wd = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for layer in (self.We, self.Ws, self.Wd):
            nn.init.uniform_(layer.weight, -0.1, 0.1)
        self.WLSTM.reset_parameters()
        nn.init.zeros_(self.We.bias)
        with torch.no_grad():
            self.Wd.bias.copy_(torch.tensor(self._first_bias))

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        logits: Tensor = self.Wd(self.states(features, words))
        return logits

    def states(self, features: Tensor, words: Tensor) -> Tensor:
        """The hidden states [N, L, H] after dropout and before ``Wd``; a loss may select the valid words first."""
        image = self.We(features).unsqueeze(0)
        inputs = torch.cat((image, self.Ws(words.t()).to(image.dtype)))
        hidden: Tensor = self.WLSTM(self.dropout(inputs))
        dropped: Tensor = self.dropout(hidden[1:])
        return dropped.transpose(0, 1)

    def start(self, features: Tensor) -> State:
        """The state (h, c), each [N, H], after the image; beam search may reorder its rows."""
        image = self.We(features)
        zeros = torch.zeros_like(image)
        return self.WLSTM.step(image, zeros, zeros)

    def advance(self, state: State, words: Tensor) -> tuple[Tensor, State]:
        """Feeds one word [N] to each sample: the logits [N, V] of the next one, and the new state."""
        hidden, cell = self.WLSTM.step(self.Ws(words), *state)
        return self.Wd(hidden), (hidden, cell)
