"""What the statement before the cursor already has: a target, a length, a complete condition."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

_TARGETS = (
    nodes.Number, nodes.Name, nodes.Unary, nodes.Binary, nodes.NofMTarget, nodes.RampTarget, nodes.HeldTarget,
    nodes.ListTarget,
)  # fmt: skip
_CONDITIONS = (nodes.Comparison, nodes.Logical, nodes.Negation)


def parts(cursor: Cursor) -> list[Any]:
    """All items of the statement written so far, with lists flattened."""
    return [part for item in cursor.items for part in (item if isinstance(item, list) else [item])]


def positional(cursor: Cursor) -> list[Any]:
    """The positional items, without arguments and conditions."""
    found = parts(cursor)
    kinds = [_kind(part) for part in found]
    ends = [index - (kind == "EQUAL") for index, kind in enumerate(kinds) if kind in ("EQUAL", "UNTIL")]
    return found[: min(ends, default=len(found))]


def target(cursor: Cursor) -> Any:
    """The target of the phase, as far as it is written; None if there is none."""
    return next(
        (part for part in positional(cursor) if isinstance(part, _TARGETS) or _kind(part) in ("HELD", "LSQB")), None
    )


def has_target(cursor: Cursor) -> bool:
    """Whether the phase already has a target."""
    return target(cursor) is not None


def has_plain_target(cursor: Cursor) -> bool:
    """Whether the phase has a target that is not the name of a value, which could be its length."""
    found = (part for part in positional(cursor) if not isinstance(part, nodes.Name))
    return any(isinstance(part, _TARGETS) or _kind(part) in ("HELD", "LSQB") for part in found)


def is_held(cursor: Cursor) -> bool:
    """Whether the phase's target is `held`."""
    found = target(cursor)
    return isinstance(found, nodes.HeldTarget) or _kind(found) == "HELD"


def has_ramp(cursor: Cursor) -> bool:
    """Whether the phase has a ramp, alone or in a list."""
    found = positional(cursor)
    inner = [item.target for part in found if isinstance(part, nodes.ListTarget) for item in part.items]
    inner += [part.target for part in found if isinstance(part, nodes.SelectorTarget)]
    return any(isinstance(part, nodes.RampTarget) or _kind(part) == "ARROW" for part in (*found, *inner))


def has_pattern(cursor: Cursor) -> bool:
    """Whether the target is a pattern such as `2:4`."""
    return any(isinstance(part, nodes.NofMTarget) or _kind(part) == "COLON" for part in positional(cursor))


def is_condition(clause: tuple[Any, ...]) -> bool:
    """Whether a clause is already a condition: a comparison, or a function such as `plateau(val.loss)`."""
    if not clause:
        return False
    kinds = [_kind(item) for item in clause]
    if "COMPARATOR" in kinds:
        return kinds[-1] != "COMPARATOR"
    first = clause[0].callee if isinstance(clause[0], nodes.Call) else clause[0]
    function = CONDITION_FUNCTIONS.get(first.text) if isinstance(first, nodes.Name) else None
    return (function is not None and function.is_condition) or any(isinstance(item, _CONDITIONS) for item in clause)


def _kind(part: Any) -> str:
    return part.kind if isinstance(part, Token) else ""
