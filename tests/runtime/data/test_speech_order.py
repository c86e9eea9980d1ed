"""Batch orders: every utterance once, a pure function of (key, epoch), lengths alike within a batch."""

from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd_runtime.data.speech.order import bucketed_batches, sorted_batches, training_batches
from dsd_runtime.data.splits import num_batches

DURATIONS = np.random.default_rng(0).uniform(0.5, 9, 500).tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=1, max_size=200), st.integers(1, 17), st.integers())
def test_every_utterance_once(durations, batch_size, key):
    for epoch in (0, 1):
        batches = training_batches(durations, batch_size, key=key, epoch=epoch, sorta_grad=True)
        assert sorted(chain.from_iterable(batches)) == list(range(len(durations)))
        assert len(batches) == num_batches(len(durations), batch_size)
        assert all(1 <= len(batch) <= batch_size for batch in batches)


def test_sorta_grad_sorts_only_epoch_0():
    first = training_batches(DURATIONS, 16, key=3, epoch=0, sorta_grad=True)
    lengths = [DURATIONS[index] for index in chain.from_iterable(first)]
    assert lengths == sorted(lengths)
    assert first == sorted_batches(DURATIONS, 16)
    second = training_batches(DURATIONS, 16, key=3, epoch=1, sorta_grad=True)
    assert second == bucketed_batches(DURATIONS, 16, key=3, epoch=1) != first
    assert training_batches(DURATIONS, 16, key=3, epoch=0, sorta_grad=False) != first


def test_pure_function_of_key_and_epoch():
    orders = [bucketed_batches(DURATIONS, 16, key=key, epoch=epoch) for key, epoch in ((1, 1), (1, 2), (2, 1), (-1, 1))]
    assert orders[0] == bucketed_batches(DURATIONS, 16, key=1, epoch=1)
    assert all(orders[a] != orders[b] for a in range(4) for b in range(a))


def test_order_is_frozen_across_versions():
    assert bucketed_batches([1.0, 2.0, 3.0, 4.0, 5.0], 2, key=7, epoch=3) == [(4,), (2, 3), (0, 1)]


def test_buckets_save_padding():
    def padded(batches):
        return sum(len(batch) * max(DURATIONS[index] for index in batch) for batch in batches)

    in_buckets = padded(bucketed_batches(DURATIONS, 16, key=1, epoch=1))
    as_listed = padded([tuple(range(start, min(500, start + 16))) for start in range(0, 500, 16)])
    assert in_buckets < 1.25 * sum(DURATIONS) < as_listed
