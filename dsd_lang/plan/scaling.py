"""`--scale X` of `dsd-run`: the same plan with every length multiplied."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact, format_exact, parse_length
from dsd_lang.plan.model import Plan
from dsd_lang.plan.written import as_data


def scaled_plan(plan: Plan, scale: str) -> Plan:
    """Multiplies all durations, warm-ups, milestones given as lengths, and re-selection intervals by an exact number.

    Raises :class:`DsdError` if the scale is not a positive number.
    """
    try:
        factor = exact(scale)
    except (ValueError, ZeroDivisionError) as error:
        raise DsdError(f"`--scale {scale}` is not a number", help="write a positive number such as 0.05") from error
    if factor <= 0:
        raise DsdError(f"`--scale {scale}` is not positive", help="write a positive number such as 0.05")
    if factor == 1:
        return plan

    def scaled_length(value: Any) -> Any:
        try:
            length = parse_length(value) if isinstance(value, str) else None
        except ValueError:
            return value
        return value if length is None else f"{format_exact(length.value * factor)}{length.unit}"

    def scaled(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("unit") in ("ep", "it") and "value" in value:
                return {**value, "value": format_exact(exact(value["value"]) * factor)}
            if "arguments" in value:  # of a method: `rigl(every=100it)`
                return {**value, "arguments": {key: scaled_length(item) for key, item in value["arguments"].items()}}
            return {key: scaled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [scaled(item) for item in value]
        return value

    return Plan.model_validate(scaled(as_data(plan))).with_hash()
