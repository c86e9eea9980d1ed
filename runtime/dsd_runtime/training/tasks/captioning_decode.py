"""Decodes captions by greedy decoding or beam search, batched over images.

A model has ``start(features) -> state`` and ``advance(state, words) -> (logits, state)``; the state is a tensor, or
nested tuples, lists and dicts of tensors with the batch first. Index 0 is START as an input and END as an output. Shape
legend: N images, B beams, V words, T words so far.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

END = 0
MAX_WORDS = 20


def greedy(model: nn.Module, features: Tensor, *, max_words: int = MAX_WORDS) -> list[list[int]]:
    """The likeliest next word, repeatedly until END or ``max_words``, for each of [N, D]."""
    state: Any = model.start(features)  # type: ignore[operator]
    words = torch.zeros(features.shape[0], dtype=torch.int64, device=features.device)
    ended = torch.zeros_like(words, dtype=torch.bool)
    chosen: list[Tensor] = []
    for _ in range(max_words):
        logits, state = model.advance(state, words)  # type: ignore[operator]
        words = logits.argmax(dim=1).masked_fill(ended, END)
        chosen.append(words)
        ended = ended | (words == END)
        if bool(ended.all()):
            break
    return [_until_end(row) for row in torch.stack(chosen, dim=1).tolist()]


def beam_search(model: nn.Module, features: Tensor, *, beam_size: int, max_words: int = MAX_WORDS) -> list[list[int]]:
    """The best of ``beam_size`` captions by the sum of log probabilities, without length normalisation (NeuralTalk).

    A finished caption stays among the beams according to its score; the search stops at ``max_words`` or when every
    beam has ended.
    """
    if beam_size < 1:
        raise ValueError(f"beam_size must be at least 1, not {beam_size}")
    count, device = features.shape[0], features.device
    state: Any = select_rows(model.start(features), _repeated(count, beam_size, device))  # type: ignore[operator]
    scores = torch.full((count, beam_size), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0  # all beams are equal at the start: only the first may branch
    words = torch.zeros(count, beam_size, 1, dtype=torch.int64, device=device)
    ended = torch.zeros(count, beam_size, dtype=torch.bool, device=device)
    for _ in range(max_words):
        logits, state = model.advance(state, words[:, :, -1].reshape(-1))  # type: ignore[operator]
        gains = torch.log_softmax(logits.double(), dim=1).reshape(count, beam_size, -1)
        parents, following, scores = _best(scores, gains, ended)
        rows = (torch.arange(count, device=device)[:, None] * beam_size + parents).reshape(-1)
        state = select_rows(state, rows)
        kept = words.gather(1, parents[:, :, None].expand(-1, -1, words.shape[2]))
        words = torch.cat([kept, following[:, :, None]], dim=2)
        ended = ended.gather(1, parents) | (following == END)
        if bool(ended.all()):
            break
    best = scores.argmax(dim=1)
    return [_until_end(row) for row in words[torch.arange(count, device=device), best, 1:].tolist()]


def _best(scores: Tensor, gains: Tensor, ended: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Parents, next words and scores [N, B] of the best continuations of [N, B] with gains [N, B, V].

    A beam's continuations are its own B best words; an ended beam has one, END at no cost.
    """
    count, beam_size, num_words = gains.shape
    top = gains.topk(min(beam_size, num_words), dim=2)
    stopped = torch.full_like(top.values, -torch.inf)
    stopped[:, :, 0] = 0.0
    totals = scores[:, :, None] + torch.where(ended[:, :, None], stopped, top.values)
    following = top.indices.masked_fill(ended[:, :, None], END)
    best = totals.reshape(count, -1).topk(beam_size, dim=1)
    parents = best.indices // top.values.shape[2]
    return parents, following.reshape(count, -1).gather(1, best.indices), best.values


def select_rows(state: Any, rows: Tensor) -> Any:
    """The state with the selected batch rows, in tuples, lists and dicts of tensors."""
    if isinstance(state, Tensor):
        return state.index_select(0, rows)
    if isinstance(state, dict):
        return {name: select_rows(part, rows) for name, part in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(select_rows(part, rows) for part in state))
    if isinstance(state, tuple | list):
        return type(state)(select_rows(part, rows) for part in state)
    raise ValueError(f"a decoding state holds tensors in tuples, lists and dicts, not `{type(state).__name__}`")


def _repeated(count: int, times: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device).repeat_interleave(times)


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(END)] if END in row else row
