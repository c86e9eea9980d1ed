"""The plan: the resolved schedule as data, the only contract with the runtime, and closed forms over it.

The pydantic models are imported on first use, because the linter only needs the closed forms.
"""

from __future__ import annotations

__all__ = [
    "PLAN_VERSION",
    "Checkpoint",
    "Clock",
    "Comparison",
    "Condition",
    "Cycle",
    "Decay",
    "Distillation",
    "Duration",
    "Expectation",
    "Function",
    "LearningRate",
    "Milestone",
    "Phase",
    "Plan",
    "ReferenceInfo",
    "Restore",
    "SelectorTarget",
    "Source",
    "SpanInfo",
    "Target",
    "meaning",
    "semantic_hash",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.model import PLAN_VERSION, Plan
    from dsd_lang.plan.parts import (
        Checkpoint,
        Clock,
        Comparison,
        Condition,
        Cycle,
        Decay,
        Distillation,
        Duration,
        Expectation,
        Function,
        LearningRate,
        Milestone,
        Phase,
        ReferenceInfo,
        Restore,
        SelectorTarget,
        Source,
        SpanInfo,
        Target,
    )
    from dsd_lang.plan.semantics import meaning, semantic_hash

_HOMES = {"PLAN_VERSION": "model", "Plan": "model", "meaning": "semantics", "semantic_hash": "semantics"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `dsd_lang.plan` has no attribute `{name}`")
    from importlib import import_module

    value: object = getattr(import_module(f"dsd_lang.plan.{_HOMES.get(name, 'parts')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*{*globals(), *__all__}]
