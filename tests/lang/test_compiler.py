"""`compile()` leaves the process that calls it as it was."""

from __future__ import annotations

import gc

import pytest

from dsd_lang import compile


def test_compiling_leaves_the_garbage_collector_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the collector belongs to the caller")

    for name in ("disable", "enable", "freeze", "unfreeze", "set_threshold", "collect"):
        monkeypatch.setattr(gc, name, refuse)
    assert len(compile("dense 5ep lr=0.1; repeat 100 { sparse 50%; dense }").phases) == 201
