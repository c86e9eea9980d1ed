"""How a session is displayed: its one-line `repr`, and its notebook view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.views.notebook import plan_html
from dsd_lang.views.table import target_text

if TYPE_CHECKING:
    from dsd_runtime.engine.standing import Standing


def session_text(session: Standing) -> str:
    """One line: the phase, its progress, the rate, and the pruned share."""
    if not session.events:
        return f"<Session: before the first of {_counted(len(session.plan.phases))}>"
    phase = session.phase
    name = f" `{phase.label}`" if phase.label else ""
    target = f" {target_text(phase.target)}" if phase.mode == "sparse" else ""
    where = f"phase {phase.index + 1} of {len(session.plan.phases)}{name} ({phase.mode}{target})"
    done = "done" if session.is_over else f"update {phase.step} of {phase.length}"
    pruned = session.sparsity()["total"]
    return f"<Session: {where}, {done}, {session.progress:.0%} of the schedule, lr {phase.lr:.4g}, {pruned:.4g} pruned>"


def session_html(session: Standing) -> str:
    """The plan's table with the progress of each phase, and its timeline."""
    phase, is_over = session.phase, session.is_phase_over
    states = {}
    for index, member in enumerate(session.plan.phases):
        if index < phase.index or (index == phase.index and is_over and session.events):
            states[member.id] = "done"
        elif index == phase.index and not is_over:
            states[member.id] = f"{phase.step} of {phase.length} updates"
        else:
            states[member.id] = "to come"
    return plan_html(session.plan, title=session_text(session), states=states)


def _counted(count: int) -> str:
    return f"{count} phase" if count == 1 else f"{count} phases"
