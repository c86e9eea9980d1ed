"""Writes a setting of a plan as the text after `set`, so that a saved plan's flags and preset can be reused."""

from __future__ import annotations

from dsd_lang.base.units import exact, format_percent, parse_length

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dsd_lang.plan.shapes import MilestoneData


def setting_text(value: Any) -> str:
    """`sgd(momentum=0.9, nesterov=on)`, `step(33%, 66%, by=0.1)`, `fc,birnn`, `128`."""
    if isinstance(value, dict) and "kind" in value:
        return _decay_text(value)
    if isinstance(value, dict):
        arguments = [
            ("" if name.isdigit() else f"{name}=") + _argument_text(item)
            for name, item in value.get("arguments", {}).items()
        ]
        return f"{value['name']}({', '.join(arguments)})" if arguments else str(value["name"])
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)


def milestone_text(point: MilestoneData) -> str:
    """`50%`, `80ep`; a share without a finite decimal stays `1/3`."""
    if point["unit"] != "ratio":
        return point["value"] + point["unit"]
    return point["value"] if "/" in point["value"] else format_percent(exact(point["value"]))


def _argument_text(value: str | bool) -> str:
    """A number, a length, a word or a reference unchanged; anything else, such as a path, in quotes."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value.isidentifier() or value.startswith("@"):
        return value
    for read in (exact, parse_length):
        try:
            read(value)
        except ValueError:
            continue
        return value
    return f'"{value}"'


def _decay_text(decay: dict[str, Any]) -> str:
    arguments = [milestone_text(point) for point in decay.get("milestones", ())]
    if "factor" in decay:
        arguments.append(decay["factor"] if decay["kind"] == "exp" else f"by={decay['factor']}")
    if "floor" in decay:
        arguments.append(f"floor={decay['floor']}")
    return f"{decay['kind']}({', '.join(arguments)})" if arguments else str(decay["kind"])
