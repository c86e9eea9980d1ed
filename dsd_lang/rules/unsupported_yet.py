"""An argument or value is in the language but not supported yet.

What it does
------------
Reports arguments, values and metrics that the language has and `dsd-run` does not execute in this version. In this
version it executes all of them. The schedule still compiles: `dsd-plan` shows it, and `dsd-run` refuses it before
anything is trained.

Why is this bad
---------------
If an argument were accepted and ignored, the result would not be that of the schedule.

Example
-------
::

    sparse 50% by=NAME 50ep   # a score of a later version

Use instead
-----------
::

    sparse 50% by=magnitude 50ep

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from collections.abc import Iterator

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.plan.supported import unsupported_arguments, unsupported_in_phase
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.analysis import ResolvedProgram
    from dsd_lang.passes.draft import Draft

CODE = "DSD207"


def find(resolved: ResolvedProgram) -> tuple[Diagnostic, ...]:
    """Reports each once; they do not prevent compilation."""
    found: dict[tuple[str, Span], Diagnostic] = {}
    for written, span in _unsupported(resolved):
        found.setdefault((written, span), _diagnostic(written, span))
    return tuple(found.values())


def _unsupported(resolved: ResolvedProgram) -> Iterator[tuple[str, Span]]:
    settings = {name: setting.shown for name, setting in resolved.settings.items()}
    from_settings = {written for _, written in unsupported_arguments(settings)}
    for row, written in unsupported_arguments(settings):
        setting = resolved.settings[row.name]
        if setting.origin == "set":
            yield written, setting.node.span
    for draft in resolved.book.phases:
        for written, name in unsupported_in_phase(_asked_for(draft)):
            span = _span_of(draft, name)
            if span is not None or written not in from_settings:
                yield written, span or draft.node.mode_span


def _asked_for(draft: Draft) -> dict[str, object]:
    """The parts of a phase that may be unsupported, in plan form."""
    return {
        **draft.attributes,
        "until": draft.until,
        "cycles": draft.rounds,
        "lr": draft.rate,
    }


def _span_of(draft: Draft, name: str) -> Span | None:
    """The span of an argument or `until` of a phase; None if the value comes from elsewhere."""
    for item in draft.node.items:
        if isinstance(item, nodes.Until) and name == "until":
            return item.span
        if isinstance(item, nodes.Argument) and item.name == name:
            return item.span
    return next((cycle.until.span for cycle, _ in draft.cycles), None) if name == "until" else None


def _diagnostic(written: str, span: Span) -> Diagnostic:
    return Diagnostic(
        CODE,
        f"`{written}` is not supported yet",
        span,
        label="`dsd-run` refuses this",
        help="leave it out, or use a later version",
    )
