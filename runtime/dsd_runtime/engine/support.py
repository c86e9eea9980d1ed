"""Refuses parts of a plan that this version does not support, by name (DSD207)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan, SpanInfo
from dsd_lang.plan.enforcing import conflicts
from dsd_lang.plan.moving import why_fixed
from dsd_lang.plan.supported import unsupported_arguments, unsupported_in_phase


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One unsupported part of a plan."""

    what: str
    span: SpanInfo | None

    def __str__(self) -> str:
        where = f" (line {self.span.line})" if self.span else ""
        return f"DSD207: {self.what} is not supported yet{where}"


def unsupported(plan: Plan) -> tuple[Unsupported, ...]:
    """Everything in a plan that this version does not support, each once."""
    found: dict[tuple[str, SpanInfo | None], Unsupported] = {}
    for phase in plan.phases:
        for written, _ in unsupported_in_phase(phase.model_dump()):
            found.setdefault((written, phase.span), Unsupported(f"`{written}`", phase.span))
    for _, written in unsupported_arguments(plan.settings):
        if all(name != written for name, _ in found):
            found[(written, None)] = Unsupported(f"`set {written}`", None)
    return tuple(found.values())


def require_supported(plan: Plan) -> None:
    """Raises :class:`DsdError` naming every unsupported part that would change the training."""
    found = unsupported(plan)
    if found:
        message = "; ".join(str(item) for item in found)
        raise DsdError(message, help="remove it from the schedule, or use a later version")
    for phase in plan.phases:
        for conflict in conflicts(phase.model_dump()):
            raise DsdError(f"DSD212: phase `{phase.label or phase.id}`: {conflict.message}", help=conflict.help)
    _require_movable(plan)


def _require_movable(plan: Plan) -> None:
    """Raises :class:`DsdError` for a phase whose `update=` cannot move its masks."""
    phases = {phase.id: phase for phase in plan.phases}
    for phase in plan.phases:
        if phase.update is not None and (reason := why_fixed(_line_of(phase, phases))) is not None:
            message, advice = reason
            raise DsdError(f"DSD212: phase `{phase.label or phase.id}`: {message}", help=advice)


def _line_of(phase: Phase, phases: Mapping[str, Phase]) -> Iterator[dict[str, Any]]:
    """The phase and those before it, the nearest first."""
    now: Phase | None = phase
    while now is not None:
        yield now.model_dump()
        now = phases.get(now.parent) if now.parent is not None else None


def check_line(plan: Plan) -> None:
    """Raises :class:`DsdError` for a plan that a session cannot run: branches, no phase, unsupported parts."""
    if not plan.is_linear:
        names = ", ".join(f'"{name}"' for name in plan.branches)
        raise DsdError(
            f"the plan has branches, and a session runs a single branch; choose one of: {names}",
            help=f'attach(plan.branch("{plan.branches[0]}"), ...)' if plan.branches else "compile the schedule again",
        )
    if not plan.phases:
        raise DsdError("the plan has no phases", help="write at least one, such as `dense 1ep lr=0.1`")
    require_supported(plan)
    for before, phase in zip((None, *plan.phases), plan.phases, strict=False):
        is_held = phase.target is not None and phase.target.kind == "held"
        if is_held and (before is None or before.mode == "dense"):
            raise DsdError(
                f"phase `{phase.label or phase.id}` uses `held`, but no masks are active before it",
                help="prune first: `sparse held` must follow another `sparse` phase",
            )
