"""What people see: one moving line that fits the terminal, or a line now and then; tables that fit."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

import dsd_lang
from dsd_runtime.tracking import console
from dsd_runtime.tracking.console import ConsoleProgress, table_within
from dsd_runtime.tracking.durations import format_left, format_seconds
from dsd_runtime.tracking.forecast import Forecast, NodeWork
from dsd_runtime.tracking.tracker import NodeInTraining

PHASE = dsd_lang.compile("start: dense 2ep lr=0.1").phases[0]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Standing:
    """A session as far as the console asks it."""

    step: int = 0
    events: list[Any] = field(default_factory=list)

    @property
    def phase(self) -> Any:
        return SimpleNamespace(step=self.step, length=20, mode="dense", lr=0.1)

    def sparsity(self) -> dict[str, float]:
        return {"total": 0.0}


def _progress(stream: io.StringIO, mode: Any = "auto") -> tuple[ConsoleProgress, NodeInTraining]:
    work = {"key": NodeWork(20, 10, 50, 30)}
    forecast = Forecast.of(work, seconds_per_update=1.0, seconds_per_sample=0.1)
    place = NodeInTraining(PHASE, "key", cast(Any, Standing()))
    return ConsoleProgress(mode, forecast, {"val": 50, "test": 30}, stream), place


def _text(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


@pytest.mark.parametrize("width", [80, 60, 120])
def test_the_line_moves_at_every_update_and_fits(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress, place = _progress(stream)
    progress.entered(place, [])
    for update in (1, 2, 3):
        progress.advanced(place, update=update)
        assert progress._bar is not None
        progress._bar.refresh()
    progress.updated(place, update=3, loss=1.2345678, rate=0.012345, samples=3)
    progress.advanced(place, update=4)
    progress._bar.refresh()
    progress.evaluating(place)
    progress._bar.refresh()
    progress.close()
    text = _text(stream)
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= width
    for shown in (
        "start 1/20",
        "start 2/20",
        "start 3/20",
        "start 4/20  loss 1.23  lr 0.012",
        "start evaluating",
        "left",
    ):
        assert shown[: width - 30] in text


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress, place = _progress(stream)
    progress.entered(place, [])
    for update in range(1, 9):
        now[0] += 11
        progress.advanced(place, update=update)
    now[0] += 40
    progress.evaluating(place)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"start: update 3/20  about .* left", lines[1])
    assert re.fullmatch(r"start: evaluating  about .* left", lines[3])


def test_without_progress_only_warnings_are_said() -> None:
    stream = io.StringIO()
    progress, place = _progress(stream, "none")
    warning = SimpleNamespace(kind="warning", details={"text": "phase `a`: mind the step"})
    progress.entered(place, [warning])
    other = SimpleNamespace(kind="warning", details={"text": "phase `b`: mind the step"})
    new = SimpleNamespace(kind="warning", details={"text": "phase `b`: and the door"})
    progress.entered(place, [other, new])
    assert stream.getvalue().splitlines() == ["warning: phase `a`: mind the step", "warning: phase `b`: and the door"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0032, "3.2ms"), (0.41, "0.41s"), (8.2, "8s"), (200, "3m 20s"), (7500, "2h 05m")],
)
def test_times(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_time_that_is_estimated_is_in_whole_seconds() -> None:
    assert format_left(0.2) == "1s"
    assert format_left(61.4) == "1m 01s"


def test_a_table_leaves_out_what_is_least_wanted() -> None:
    columns = [("phase", ["a", "b"]), ("loss", ["1.234", "5.678"]), ("wer", ["12", "13"])]
    assert table_within(columns, None, ("loss",)).splitlines()[0] == "phase  loss   wer"
    assert table_within(columns, 17, ("loss",)).splitlines()[0] == "phase  loss   wer"
    assert table_within(columns, 16, ("loss", "wer")).splitlines()[0] == "phase  wer"
    assert table_within(columns, 3, ("loss", "wer")).splitlines()[0] == "phase"
