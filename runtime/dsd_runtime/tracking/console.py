"""Progress for people: a live bar with an ETA on a terminal, plain lines anywhere else, or nothing.

A line is printed for each phase entered, each evaluation and each phase finished.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dsd_lang.plan import Phase
from dsd_runtime.engine.events import Event
from dsd_runtime.tracking.tracker import Place, Sink

_PLAIN_EVERY_SECONDS = 30.0


def phase_name(phase: Phase) -> str:
    """How a phase is called in output: branch, label or id, and mode."""
    label = phase.label or phase.id
    return f"{phase.path}/{label}" if phase.path else label


def format_seconds(seconds: float) -> str:
    """`8s`, `3m 20s`, `2h 05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def shown_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Without those that say the same as another (`acc` and `top1_err` as `err`, BLEU with brevity penalty)."""
    return {name: value for name, value in metrics.items() if not name.endswith((".acc", ".top1_err", "_bp"))}


def format_metrics(metrics: dict[str, float]) -> str:
    """Metrics on one line, four significant digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in shown_metrics(metrics).items())


class ConsoleProgress(Sink):
    """Prints what happens; ``total_updates`` is what is left to train over all nodes."""

    def __init__(
        self, mode: Literal["auto", "plain", "none"], total_updates: int, stream: TextIO | None = None
    ) -> None:
        self._stream = stream or sys.stderr
        self._total = max(1, total_updates)
        self._done = 0
        self._node_start = 0
        self._started: float | None = None
        self._has_warned = False
        self._last_line = time.monotonic()
        self._mode = "plain" if mode == "auto" and not self._stream.isatty() else mode
        self._bar: Progress | None = None
        self._task = None
        if self._mode == "auto":
            self._bar = _progress_bar(self._stream)
            self._task = self._bar.add_task("", total=self._total, detail="")
            self._bar.start()

    def reused(self, phase: Phase, key: str, metrics: dict[str, float]) -> None:
        self._say(f"{phase_name(phase)}: already trained ({key[:8]})  {format_metrics(metrics)}")

    def skipped(self, phase: Phase) -> None:
        self._say(f"{phase_name(phase)}: skipped, its loop has ended")

    def resumed(self, place: Place) -> None:
        self._begin(place)
        self._node_start = place.session.phase.step
        self._say(f"{phase_name(place.phase)}: goes on from update {place.session.phase.step}")

    def entered(self, place: Place, events: Sequence[Event]) -> None:
        self._begin(place)
        phase = place.session.phase
        pruned = place.session.sparsity()["total"]
        weights = f", {pruned:.2%} of the selected weights pruned" if phase.mode == "sparse" else ""
        self._say(f"{phase_name(place.phase)}: {phase.mode}, {phase.length} updates, lr {phase.lr:g}{weights}")
        texts = [str(event.details["text"]) for event in events if event.kind == "warning"]
        if texts and not self._has_warned:
            self._has_warned = True
            self._say(f"warning: {texts[0]} (said once; each phase has its own in the session's events)")

    def updated(self, place: Place, *, update: int, loss: float, rate: float, samples: int) -> None:
        done = self._done + update - self._node_start
        if self._bar is not None and self._task is not None:
            detail = f"{phase_name(place.phase)}  loss {loss:.4g}  lr {rate:.3g}"
            self._bar.update(self._task, completed=done, detail=detail)
        elif time.monotonic() - self._last_line > _PLAIN_EVERY_SECONDS:
            self._say(
                f"{phase_name(place.phase)}: update {update}/{place.session.phase.length}  loss {loss:.4g}  "
                f"lr {rate:.3g}  {self._remaining(done)}"
            )

    def evaluated(self, place: Place, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        done = self._done + update - self._node_start
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        remaining = self._remaining(done) if self._bar is None else ""
        self._say(f"{phase_name(place.phase)}: epoch {epoch:.4g}  {format_metrics(metrics)}  {remaining}")

    def finished(self, place: Place, metrics: dict[str, float], *, seconds: float) -> None:
        planned = place.session.stage.length
        self._done += planned - self._node_start
        self._say(f"{phase_name(place.phase)}: finished in {format_seconds(seconds)}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _begin(self, place: Place) -> None:
        self._node_start = 0
        if self._started is None:
            self._started = time.monotonic()

    def _remaining(self, done: int) -> str:
        if self._started is None or done <= 0:
            return ""
        elapsed = time.monotonic() - self._started
        return f"ETA {format_seconds(elapsed / done * max(0, self._total - done))}"

    def _say(self, text: str) -> None:
        self._last_line = time.monotonic()
        if self._mode == "none":
            return
        if self._bar is not None:
            self._bar.console.print(text.rstrip(), highlight=False, markup=False)
        else:
            print(text.rstrip(), file=self._stream, flush=True)


class LastSaved(Sink):
    """Remembers the last checkpoint, for the sentence that a failure ends with."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def saved(self, path: Path) -> None:
        self.path = path


def _progress_bar(stream: TextIO) -> Progress:
    return Progress(
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=Console(file=stream),
    )
