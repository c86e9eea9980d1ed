"""Which parts of the language this runtime executes; the rest is refused by name (DSD207), never ignored."""

from __future__ import annotations

from dataclasses import dataclass

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Condition, Phase, Plan, SpanInfo


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One thing a plan asks for that has no engine yet; `is_fatal`: training without it would be another schedule."""

    what: str
    span: SpanInfo | None
    is_fatal: bool = True

    def __str__(self) -> str:
        place = f" (line {self.span.line})" if self.span else ""
        return f"DSD207: {self.what} is not supported yet{place}"


def _reads_entropy(condition: Condition | None) -> bool:
    if condition is None:
        return False
    if condition.kind == "metric" and (condition.name or "").startswith("entropy"):
        return True
    return any(_reads_entropy(part) for part in condition.args)


def _in_phase(phase: Phase) -> list[str]:
    checks = [
        (phase.by.name not in ("magnitude", "random"), f"`by={phase.by.name}`"),
        (phase.scope not in ("layer", "global"), f"`scope={phase.scope}`"),
        (phase.alloc != "uniform", f"`alloc={phase.alloc}`"),
        (phase.unit.name != "weight", f"`unit={phase.unit.name}`"),
        (phase.update is not None, "`update=`"),
        (phase.enforce.name != "hard", f"`enforce={phase.enforce.name}`"),
        (phase.distill is not None, "`distill=`"),
        (phase.calibrate is not None, "`calibrate=`"),
        (_reads_entropy(phase.until) or any(_reads_entropy(cycle.until) for cycle in phase.cycles), "`entropy.*`"),
    ]
    return [what for asked, what in checks if asked]


def unsupported(plan: Plan) -> tuple[Unsupported, ...]:
    """Everything in a plan that this version does not execute, each once."""
    found: dict[tuple[str, SpanInfo | None], Unsupported] = {}
    for phase in plan.phases:
        for what in _in_phase(phase):
            found.setdefault((what, phase.span), Unsupported(what, phase.span))
    if "noise" in plan.settings:
        found[("`set noise=`", None)] = Unsupported("`set noise=`", None)
    for comparison in plan.comparisons:
        what = f"the statistics of `compare {comparison.left} vs {comparison.right}`"
        found[(what, comparison.span)] = Unsupported(what, comparison.span, is_fatal=False)
    for expectation in plan.expectations:
        what = f"checking `expect {expectation.text}`"
        found[(what, expectation.span)] = Unsupported(what, expectation.span, is_fatal=False)
    return tuple(found.values())


def require_supported(plan: Plan) -> None:
    """Raises :class:`DsdError` naming everything whose absence would change the training."""
    fatal = [item for item in unsupported(plan) if item.is_fatal]
    if fatal:
        message = "; ".join(str(item) for item in fatal)
        raise DsdError(message, help="remove it from the schedule, or use a later version")


def check_line(plan: Plan) -> None:
    """Raises :class:`DsdError` for a plan that a session cannot run: branches, no phase, parts without an engine."""
    if not plan.is_linear:
        names = ", ".join(f'"{name}"' for name in plan.branches)
        raise DsdError(
            f"the plan has branches, and a session runs one line of phases; choose one of: {names}",
            help=f'attach(plan.branch("{plan.branches[0]}"), ...)' if plan.branches else "compile the schedule again",
        )
    if not plan.phases:
        raise DsdError("the plan has no phases", help="write at least one, such as `dense 1ep lr=0.1`")
    require_supported(plan)
    for before, phase in zip((None, *plan.phases), plan.phases, strict=False):
        is_held = phase.target is not None and phase.target.kind == "held"
        if is_held and (before is None or before.mode == "dense"):
            raise DsdError(
                f"phase `{phase.label or phase.id}` holds masks, but none are in force then",
                help="prune first: `sparse held` goes after another `sparse`",
            )
