"""The user's choices for a starter, and the values that follow from them."""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.records import record
from dsd_lang.base.units import Length, format_percent
from dsd_lang.starter.paper import PAPER, UNKNOWN, PaperPhase, PaperRun


@record
class Choices:
    """The model (if any) with its task and the optimizer of its preset; length and target, if given."""

    model: str | None = None
    task: str = "classification"
    optimizer: str = ""
    length: Length | None = None
    pruned: Fraction | None = None

    @property
    def paper(self) -> PaperRun:
        """How the paper trained this network; for networks that are not in the paper, three phases."""
        return PAPER.get((self.model or "").partition(":")[0], UNKNOWN)

    @property
    def metric(self) -> str:
        """The test metric for comparisons."""
        if self.paper.table in ("Table 2", "Table 3", "Table 4"):
            return "test.top1_err"
        return {"ctc": "test.wer", "captioning": "test.bleu4"}.get(self.task, "test.err")

    @property
    def reset(self) -> str:
        """With optimizers that count updates (Adam and similar), revived weights need `state=reset`."""
        return " state=reset" if "adam" in self.optimizer else ""

    def long(self, default: str) -> str:
        """The given length, else ``default``."""
        return default if self.length is None else str(self.length)

    def share(self, default: str) -> str:
        """The given target, else ``default``."""
        return default if self.pruned is None else format_percent(self.pruned)

    def dense(self, phase: PaperPhase) -> str:
        """A dense phase of the paper as a statement."""
        return f"dense {self.long(phase.length)}{_rate(phase)}"

    def sparse(self, phase: PaperPhase, *, target: str = "") -> str:
        """A sparse phase of the paper as a statement; ``target`` replaces its own."""
        selectors = f" {phase.selectors}" if phase.selectors else ""
        return f"sparse {target or self.share(phase.target)}{selectors} {self.long(phase.length)}{_rate(phase)}"

    def first(self) -> str:
        """The first dense phase, with its own decay if the paper has one that fits its length."""
        run = self.paper
        decay = f" {run.first_decay}" if run.first_decay and self.length is None else ""
        return self.dense(run.phases[0]) + decay

    def settings(self, extra: str = "", *, why: str = "") -> list[str]:
        """The `set` statement with a comment; empty if there are no settings."""
        model = "" if self.model is None else f'model="{self.model}"'
        if not model and not extra:
            return []
        lines = ["# `set` holds for the whole schedule" + ("; the model's preset has the rest" if model else "")]
        return [*lines, *([f"# {why}"] if why else []), f"set {' '.join(filter(None, (model, extra)))}", ""]


def _rate(phase: PaperPhase) -> str:
    return f" lr={phase.lr}" if phase.lr else ""
