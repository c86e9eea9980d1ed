"""All generators, all buffers and the seed are part of a saved session; its size does not grow with selections."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from engine_loops import backward, begin, network, one_update, shuffled_loader
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.generators import generator_states, seed_generators, set_generator_states
from dsd_runtime.engine.randomness import stream_key


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def _drawn() -> tuple[float, ...]:
    return (float(torch.rand(())), float(np.random.rand()), random.random(), np.random.randn(), random.gauss(0, 1))


def test_the_keys_of_the_streams_are_pinned() -> None:
    """A run folder of an earlier version goes on with the same numbers."""
    assert stream_key(0, 0, "init") == 240724654276660290
    assert stream_key(3, 1, "data", "a.seed1") == 8210147824663738279


def test_three_generators_are_seeded_and_kept_together() -> None:
    seed_generators(2**63 - 1)
    first = _drawn()
    seed_generators(2**63 - 1)
    assert _drawn() == first
    states = generator_states()
    later = _drawn()
    _drawn()
    set_generator_states(states)
    assert _drawn() == later


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Draws its augmentation from numpy and `random`, as data sets do."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = float(np.random.rand()) + random.random()
        return torch.full((12,), index / 24 + noise), torch.tensor(index % 4)


class Shuffled:
    """A loader whose order is numpy's."""

    def __iter__(self) -> Iterator[Any]:
        order = np.random.permutation(24).tolist()
        return iter(DataLoader(torch.utils.data.Subset(Noisy(), order), batch_size=6))


def test_a_loop_that_draws_from_numpy_and_random_resumes_bit_identically() -> None:
    text = "dense 3ep lr=0.05; sparse 50% 1ep"
    model = network(dropout=0.3)
    session = begin(text, model, _sgd(model))
    seed_generators(5)
    saved: Any = None
    while not session.done:
        for features, labels in session.batches(Shuffled()):
            session.optimizer.zero_grad()
            backward(model, features, labels)
            session.step()
            if session.total_updates == 6:
                saved = copy.deepcopy((model.state_dict(), session.state_dict()))
    seed_generators(77)
    other = network(seed=9, dropout=0.3)
    resumed = begin(text, other, _sgd(other))
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    while not resumed.done:
        for features, labels in resumed.batches(Shuffled()):
            resumed.optimizer.zero_grad()
            backward(other, features, labels)
            resumed.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_another_seed_on_resume_is_refused() -> None:
    model = network()
    session = begin("sparse 50% by=random 4it lr=0.1", model, _sgd(model), seed=3)
    one_update(session, model)
    state = session.state_dict()
    fresh = network()
    other = begin("sparse 50% by=random 4it lr=0.1", fresh, _sgd(fresh))
    with pytest.raises(DsdError, match="trained with seed 3, this session has seed 0"):
        other.load_state_dict(state)


class Counting(nn.Module):
    """Keeps a count, and a growing cache, that its `state_dict` leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 4)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("cache", torch.zeros(0), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen += 1
        self.cache = torch.cat([self.cache, self.seen[None]])
        return self.layer(inputs) / self.seen


def test_buffers_that_a_state_dict_leaves_out_are_part_of_the_session() -> None:
    model = Counting()
    session = begin("dense 6it lr=0.1", model, _sgd(model))
    for _ in range(3):
        one_update(session, model)
    saved = copy.deepcopy((model.state_dict(), session.state_dict()))
    for _ in range(3):
        one_update(session, model)
    other = Counting()
    other.seen = other.seen.double()
    resumed = begin("dense 6it lr=0.1", other, _sgd(other))
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert other.cache.tolist() == [1, 2, 3]
    assert other.seen.dtype == torch.float32, "as saved"
    for _ in range(3):
        one_update(resumed, other)
    assert float(other.seen) == 6
    assert torch.equal(model.layer.weight, other.layer.weight)


def _size(state: Any) -> int:
    return len(json.dumps(state, default=lambda value: None))


def test_the_state_does_not_grow_with_the_number_of_selections() -> None:
    sizes = []
    for length in (40, 400):
        model = network()
        session = begin(f"sparse 0->90% every=2it {length}it lr=0.01; dense 1it", model, _sgd(model))
        while session.phase.index == 0:
            one_update(session, model)
        assert sum(event.kind == "select" for event in session.events) == length // 2 - 1
        sizes.append(_size(session.state_dict()["events"]))
    assert sizes[1] < sizes[0] + 20


def test_packed_events_are_the_events() -> None:
    model = network()
    text = "sparse 0->90% every=3it 20it lr=0.01; dense 2it; sparse 0->50% every=4it 20it"
    session = begin(text, model, _sgd(model))
    while not session.done:
        one_update(session, model)
    other = network()
    resumed = begin(text, other, _sgd(other))
    resumed.load_state_dict(copy.deepcopy(session.state_dict()))
    assert resumed.events == session.events


def test_kept_workers_are_told_on_resume() -> None:
    model = network()
    session = begin("dense 3ep lr=0.1", model, _sgd(model))
    state: Any = None
    for _ in session.epochs():
        for features, labels in session.batches(shuffled_loader()):
            session.optimizer.zero_grad()
            backward(model, features, labels)
            session.step()
        state = state or copy.deepcopy(session.state_dict())
    resumed = begin("dense 3ep lr=0.1", model, _sgd(model))
    resumed.load_state_dict(state | {"position": state["position"] | {"epoch": 1}})
    loader = shuffled_loader(num_workers=1, persistent_workers=True)
    batches = resumed.batches(loader)
    with pytest.warns(UserWarning, match="persistent_workers=True"):
        next(batches)
    batches.close()
    del loader
