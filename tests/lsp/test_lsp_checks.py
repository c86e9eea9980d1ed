"""When a document is checked: once for changes that come together, later for texts that take long."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInternalError

from dsd_lang.lsp import checks
from dsd_lang.lsp.checks import Checks
from dsd_lang.lsp.session import new_session


def test_changes_that_come_together_are_checked_once() -> None:
    checked: list[str] = []

    async def type_quickly() -> None:
        waiting = Checks(checked.append)
        for _ in range(20):
            waiting.later("a")
            waiting.later("b")
        assert checked == []
        await asyncio.sleep(0.1)

    asyncio.run(type_quickly())
    assert sorted(checked) == ["a", "b"]


def test_a_closed_document_is_not_checked() -> None:
    checked: list[str] = []

    async def close() -> None:
        waiting = Checks(checked.append)
        waiting.later("a")
        waiting.forget("a")
        await asyncio.sleep(0.05)

    asyncio.run(close())
    assert checked == []


def test_nothing_is_checked_after_the_end() -> None:
    checked: list[str] = []

    async def end() -> None:
        waiting = Checks(checked.append)
        waiting.later("a")
        waiting.end()
        waiting.later("b")
        await asyncio.sleep(0.05)

    asyncio.run(end())
    assert checked == []


def test_a_failure_to_tell_the_editor_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The editor has gone: telling it so would fail for ever."""
    editor = new_session()
    told: list[str] = []

    def fails(params: types.ShowMessageParams) -> None:
        told.append(params.message)
        editor.report_server_error(ValueError("write to closed file"), JsonRpcInternalError)

    monkeypatch.setattr(editor, "window_show_message", fails)
    editor.report_server_error(ValueError("a defect"), JsonRpcInternalError)
    assert told == ["Error in server: a defect"]


def test_a_slow_check_makes_the_next_pause_longer() -> None:
    checked: list[float] = []

    def slow(uri: str) -> None:
        time.sleep(0.25)
        checked.append(time.monotonic())

    async def type_twice() -> float:
        waiting = Checks(slow)
        waiting.now("a")
        changed = time.monotonic()
        waiting.later("a")
        await asyncio.sleep(0.8)
        return changed

    changed = asyncio.run(type_twice())
    assert len(checked) == 2
    assert checked[1] - changed >= 0.5  # the pause, and the check itself


def test_garbage_is_collected_when_nothing_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    monkeypatch.setattr(gc, "collect", collected.append)
    monkeypatch.setattr(checks, "IDLE_SECONDS", 0.02)

    async def rest() -> None:
        waiting = Checks(lambda uri: None)
        waiting.now("a")
        waiting.now("a")
        assert collected == []
        await asyncio.sleep(0.1)

    asyncio.run(rest())
    assert collected == [1]


def test_a_check_that_crashes_is_measured_as_any_other() -> None:
    async def crash() -> None:
        waiting = Checks(lambda uri: [][0])
        with pytest.raises(IndexError):
            waiting.now("a")
        assert waiting._collection is not None

    asyncio.run(crash())
