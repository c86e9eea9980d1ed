"""Shows progress: a live bar with an ETA on a terminal, plain lines elsewhere, or nothing.

A line is printed for each phase entered, each evaluation and each phase finished.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from dsd_lang.base.units import exact
from dsd_lang.plan import Phase
from dsd_lang.views.table import aligned
from dsd_runtime.engine.events import Event
from dsd_runtime.tracking.durations import format_left, format_seconds
from dsd_runtime.tracking.forecast import Forecast
from dsd_runtime.tracking.tracker import NodeInTraining, Sink

_PLAIN_EVERY_SECONDS = 30.0


def phase_name(phase: Phase) -> str:
    """The name of a phase in output: branch, label or id, and mode."""
    label = phase.label or phase.id
    return f"{phase.path}/{label}" if phase.path else label


def shown_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Leaves out metrics that repeat another one (`acc` and `top1_err` repeat `err`; BLEU with brevity penalty)."""
    return {name: value for name, value in metrics.items() if not name.endswith((".acc", ".top1_err", "_bp"))}


def format_metrics(metrics: dict[str, float]) -> str:
    """Metrics on one line, four significant digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in shown_metrics(metrics).items())


def format_bytes(count: float) -> str:
    """`12 kB`, `1.3 MB`, `2.1 GB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def table_within(columns: Sequence[tuple[str, Sequence[str]]], width: int | None, least_wanted: Sequence[str]) -> str:
    """A table within ``width``: columns that do not fit are left out, the least important first."""
    shown = list(columns)
    for name in least_wanted:
        widths = (max(len(cell) for cell in (head, *cells)) for head, cells in shown)
        if width is None or sum(widths) + 2 * (len(shown) - 1) <= width:
            break
        shown = [column for column in shown if column[0] != name]
    rows = [list(cells) for cells in zip(*(cells for _, cells in shown), strict=True)]
    return aligned([head for head, _ in shown], rows)


class ConsoleProgress(Sink):
    """Prints the progress; ``sizes`` are the numbers of samples of each split, for evaluations.

    On a terminal one line is updated in place; elsewhere a line is printed every 30 seconds.
    """

    def __init__(
        self,
        mode: Literal["auto", "plain", "none"],
        forecast: Forecast,
        sizes: Mapping[str, int],
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._forecast = forecast
        self._sizes = sizes
        self._total = max(1, forecast.updates_left)
        self._warned: set[str] = set()
        self._last_line = time.monotonic()
        self._loss = ""
        self._mode = "plain" if mode == "auto" and not self._stream.isatty() else mode
        self._bar: Progress | None = None
        self._task = None
        if self._mode == "auto":
            self._bar = _progress_bar(self._stream, forecast)
            self._task = self._bar.add_task("", total=self._total, detail="")
            self._bar.start()

    def reused(self, phase: Phase, key: str, metrics: dict[str, float]) -> None:
        self._forecast.end(key)
        self.say(f"{phase_name(phase)}: already trained  {format_metrics(metrics)}")

    def trained_elsewhere(self, phase: Phase, key: str, metrics: dict[str, float], *, by: str) -> None:
        """Another process has trained a node; ``by`` says who, if that is not one of this run's own workers."""
        self._forecast.end(key)
        if by:
            self.say(f"{phase_name(phase)}: trained by {by}  {format_metrics(metrics)}")

    def working_elsewhere(self, phase: Phase, key: str, *, update: int, length: int, at_once: int) -> None:
        """How far a node is that another process trains, one of so many that are trained at once."""
        self._forecast.begin_elsewhere(key, update)
        self._forecast.advance(key, update)
        others = f"  and {at_once - 1} more" if at_once > 1 else ""
        self._show_line(f"{update}/{length}{others}", phase)

    def skipped(self, phase: Phase, key: str) -> None:
        self._forecast.end(key)
        self.say(f"{phase_name(phase)}: skipped, its loop has ended")

    def resumed(self, node: NodeInTraining) -> None:
        self._begin(node)
        self.say(f"{phase_name(node.phase)}: continues from update {node.session.phase.step}")

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        self._begin(node)
        phase = node.session.phase
        pruned = node.session.sparsity()["total"]
        own = [f"{group.selector}: {phase.lr * float(exact(group.scale)):.4g}" for group in node.phase.lr.groups]
        rates = f"{phase.lr:.4g}" + (f" [{', '.join(own)}]" if own else "")
        frozen = f", {','.join(node.phase.freeze)} frozen" if node.phase.freeze else ""
        weights = f", {pruned:.2%} of the selected weights pruned" if phase.mode == "sparse" else ""
        self.say(f"{phase_name(node.phase)}: {phase.mode}, {phase.length} updates, lr {rates}{weights}{frozen}")
        for event in events:
            if event.kind == "warning":
                self.relay(f"warning: {event.details['text']}")

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        self._forecast.advance(node.key, update)
        self._show(f"{update}/{node.session.phase.length}{self._loss}", node)

    def updated(self, node: NodeInTraining, *, update: int, loss: float, rate: float, samples: int) -> None:
        self._loss = f"  loss {loss:.3g}  lr {rate:.2g}"

    def evaluating(self, node: NodeInTraining) -> None:
        self._show("evaluating", node)

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        splits = {name.partition(".")[0] for name in metrics}
        self._forecast.evaluated(sum(self._sizes.get(split, 0) for split in splits))
        remaining = "" if self._bar is not None else f"  {self._remaining()}"
        during = {name: value for name, value in metrics.items() if not name.startswith(("test.", "sparsity"))}
        self.say(f"{phase_name(node.phase)}: epoch {epoch:.4g}  {format_metrics(during)}{remaining}")

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        self._forecast.end(node.key)
        at_end = {name: value for name, value in metrics.items() if name.startswith("test.")}
        self.say(f"{phase_name(node.phase)}: finished in {format_seconds(seconds)}  {format_metrics(at_end)}")

    def saved(self, path: Path) -> None:
        self._forecast.resume_clock()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the progress; with `--progress none` only warnings."""
        self._last_line = time.monotonic()
        if self._mode == "none" and not text.startswith("warning: "):
            return
        if self._bar is not None:
            self._bar.console.print(text.rstrip(), highlight=False, markup=False)
        else:
            print(text.rstrip(), file=self._stream, flush=True)

    def relay(self, text: str) -> None:
        """Prints a line of this process or of a worker; the same warning about another phase is not repeated."""
        about, colon, advice = text.removeprefix("warning: ").partition(": ")
        if text.startswith("warning: "):
            advice = advice if colon else about
            if advice in self._warned:
                return
            self._warned.add(advice)
        self.say(text)

    def _begin(self, node: NodeInTraining) -> None:
        self._loss = ""
        self._forecast.begin(node.key, node.session.phase.step)

    def _show(self, detail: str, node: NodeInTraining) -> None:
        self._show_line(detail, node.phase)

    def _show_line(self, detail: str, phase: Phase) -> None:
        if self._bar is not None and self._task is not None:
            done = self._total - self._forecast.updates_left
            self._bar.update(self._task, completed=done, detail=f"{phase_name(phase)} {detail}")
        elif time.monotonic() - self._last_line > _PLAIN_EVERY_SECONDS:
            self.say(f"{phase_name(phase)}: update {detail}  {self._remaining()}".replace("update eval", "eval"))

    def _remaining(self) -> str:
        return f"about {format_left(self._forecast.seconds_left())} left"


class LinesOnly(ConsoleProgress):
    """Gives the lines about phases, evaluations and warnings to ``say``, for the process that shows the whole run."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__("plain", Forecast.of({}, seconds_per_update=0.0, seconds_per_sample=0.0), {})
        self._give = say

    def say(self, text: str) -> None:
        self._give(text.rstrip())

    def _show_line(self, detail: str, phase: Phase) -> None:
        """How far a phase is stands in its status."""

    def _remaining(self) -> str:
        return ""


class LastSaved(Sink):
    """Stores the last checkpoint, which a failure message mentions."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def saved(self, path: Path) -> None:
        self.path = path


class _TimeLeft(ProgressColumn):
    """The forecast, evaluated each time the line is drawn."""

    max_refresh = 0.5

    def __init__(self, forecast: Forecast) -> None:
        super().__init__()
        self._forecast = forecast

    def render(self, task: Task) -> Text:
        return Text(f"{format_left(self._forecast.seconds_left())} left", style="progress.remaining", no_wrap=True)


def _progress_bar(stream: TextIO, forecast: Forecast) -> Progress:
    """One line: a bar of the progress of the whole run, the phase and its progress, the time left."""
    return Progress(
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
        TextColumn("{task.fields[detail]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        _TimeLeft(forecast),
        console=Console(file=stream),
        expand=True,
    )
