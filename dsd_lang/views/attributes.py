"""A phase's attributes as text under their names in a schedule; for tables and diffs.

Fields of the plan's phase are formatted by the type of their value, so a new argument appears everywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.units import exact, format_percent, format_short
from dsd_lang.plan import (
    Clock,
    Condition,
    Cycle,
    Distillation,
    Duration,
    Function,
    Phase,
    ReferenceInfo,
    Restore,
    Source,
)
from dsd_lang.plan.setting_text import setting_text

_IN_COLUMNS = ("mode", "target", "layers", "except_", "duration", "lr")
_NOT_SAID = ("id", "label", "path", "parent", "derived", "why", "span", "variables")


def other_attributes(phase: Phase) -> dict[str, str]:
    """Every attribute that is not at its default and has no column, in the plan's order."""
    found: dict[str, str] = {}
    if phase.lr.warmup is not None:
        found["warmup"] = value_text(phase.lr.warmup)
    for name, written, default in _fields():
        value = getattr(phase, name)
        if value != default:
            found[written] = value_text(value)
    return found


@cache
def _fields() -> tuple[tuple[str, str, Any], ...]:
    """The fields of a phase: the name in Python, the name in a schedule, and the default."""
    names = {row.attribute: row.name for row in ARGUMENTS if row.home == "phase"} | {"cycles": "round"}
    return tuple(
        (name, names.get(field.alias or name, field.alias or name), field.get_default(call_default_factory=True))
        for name, field in Phase.model_fields.items()
        if name not in (*_IN_COLUMNS, *_NOT_SAID)
    )


def value_text(value: object) -> str:
    """An attribute's value as a schedule writes it; raises ``TypeError`` for a type that no attribute has."""
    if isinstance(value, Function):
        return function_text(value)
    if isinstance(value, Duration):
        return value.length.short
    if isinstance(value, (Source, Restore, Clock)):
        return value.kind if value.reference is None else reference_text(value.reference)
    if isinstance(value, Distillation):
        model = f'model="{value.model}", ' if value.model is not None else ""
        return f"{reference_text(value.teacher)}({model}alpha={value.alpha}, T={value.temperature})"
    if isinstance(value, Condition):
        return condition_text(value)
    if isinstance(value, Cycle):
        return f"{value.index} until {condition_text(value.until)}"
    if isinstance(value, tuple):
        return ("," if all(isinstance(item, str) for item in value) else "; ").join(map(value_text, value))
    if isinstance(value, (str, int)):
        return str(value)
    raise TypeError(f"an attribute of type {type(value).__name__} has no text: add it to `value_text`")


def function_text(function: Function) -> str:
    """`magnitude(order=largest)`."""
    return setting_text({"name": function.name, "arguments": function.arguments})


def reference_text(reference: ReferenceInfo) -> str:
    """`@p0.500it`, `@init`, `"weights.safetensors"`."""
    if reference.moment == "file":
        return f'"{reference.file}"'
    if reference.moment == "init":
        return "@init"
    moment = str(reference.offset.length) if reference.offset is not None else reference.moment
    return f"@{reference.phase}.{moment}"


def condition_text(condition: Condition) -> str:
    """A condition as a schedule writes it."""
    parts = [condition_text(part) for part in condition.args]
    if condition.kind in ("compare", "arithmetic"):
        return f"{parts[0]} {condition.op} {parts[1]}"
    if condition.kind in ("and", "or"):
        nested = (
            f"({text})" if part.kind in ("and", "or") else text
            for part, text in zip(condition.args, parts, strict=True)
        )
        return f" {condition.kind} ".join(nested)
    if condition.kind == "not":
        return f"not ({parts[0]})"
    if condition.kind == "call":
        options = [f"{name}={value}" for name, value in condition.options.items()]
        return f"{condition.name}({', '.join((*parts, *options))})"
    if condition.kind == "number":
        value = exact(condition.value or "0")
        return format_percent(value) if condition.percent else format_short(value)
    return condition.name or ""
