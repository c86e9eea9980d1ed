"""Greedy CTC decoding: the best symbol of each frame, repeats collapsed, blanks dropped ("max decoding").

Shape legend: N batch, T frames, S symbols with the blank at 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dsd_runtime.data.speech.alphabet import collapse


def greedy_decode(logits: Tensor, lengths: Tensor, alphabet: Sequence[str]) -> list[str]:
    """Logits [N, T, S] and valid frames [N] to N texts; ``alphabet[i]`` is the symbol with index ``i + 1``."""
    paths = logits.argmax(dim=-1).tolist()
    return [collapse(path[:length], alphabet) for path, length in zip(paths, lengths.tolist(), strict=True)]
