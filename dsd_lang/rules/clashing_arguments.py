"""Two arguments of a phase, or an argument and its target, exclude each other.

What it does
------------
Reports an `enforce=`, `by=movement` or `update=` that cannot be followed with the other arguments of its phase, or with
the masks that it takes over from the phase before. The values may be inherited from `set`. The schedule still compiles:
`dsd-plan` shows it, and `dsd-run` and `attach()` refuse it before anything is trained.

Why is this bad
---------------
Each of the two says which weights are pruned, or what becomes of them, and no training follows both.

Example
-------
::

    dense 5ep lr=0.1
    sparse 2:4 update=rigl 50ep   # a weight that moves would break the pattern
    dense

Use instead
-----------
::

    dense 5ep lr=0.1
    sparse 2:4 update=magnitude 50ep
    dense

Fix safety
----------
There is no automatic fix. Either of the two may be what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.plan.enforcing import conflicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.analysis import ResolvedProgram
    from dsd_lang.passes.draft import Draft

CODE = "DSD212"


def find(resolved: ResolvedProgram) -> tuple[Diagnostic, ...]:
    """Reports each clash of every phase; this does not prevent compilation."""
    found: dict[tuple[str, Span], Diagnostic] = {}
    for draft in resolved.book.phases:
        for argument, message, help in _clashes(draft):
            span = draft.span_of(argument)
            refused = Diagnostic(CODE, message, span, label="`dsd-run` refuses this", help=help)
            found.setdefault((message, span), refused)
    return tuple(found.values())


def _clashes(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """The argument, the message and the help."""
    for conflict in conflicts(_asked_for(draft)):
        yield conflict.argument, conflict.message, conflict.help
    if "update" in draft.attributes:
        from dsd_lang.plan.moving import why_fixed  # few schedules need it

        if (reason := why_fixed(_line_of(draft))) is not None:
            yield "update", *reason


def _line_of(draft: Draft) -> Iterator[dict[str, object]]:
    """The phase and those before it, the nearest first."""
    now: Draft | None = draft
    while now is not None:
        yield _asked_for(now)
        now = now.parent


def _asked_for(draft: Draft) -> dict[str, object]:
    """The attributes and the target of a phase, in plan form."""
    return {**draft.attributes, "target": draft.target}
