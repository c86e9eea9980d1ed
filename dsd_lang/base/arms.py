"""The names of arms: `dsd`, `dsd.late`, `grid[25%]`, `grid[s=25%,w=0]`, `dsd[seed=3]`.

An arm of a sweep is named by the sweep's label and the values of its variables as they are written; one training of a
branch with `seeds=N` by the number of its seed.

    >>> split_path("grid[0.5].S1.end")
    ['grid[0.5]', 'S1', 'end']
    >>> split_index("grid[s=25%,w=0]")
    ('grid', {'s': '25%', 'w': '0'})
    >>> split_index("grid[25%]")
    ('grid', {'': '25%'})
"""

from __future__ import annotations

import re
from fractions import Fraction

from dsd_lang.base.units import exact

_DOT_OUTSIDE = r"\.(?![^\[\]]*\])"
_COMMA = r",(?![^()]*\))"


def split_path(path: str) -> list[str]:
    """The parts of a dotted path; what stands in brackets is part of its name."""
    return re.split(_DOT_OUTSIDE, path) if "[" in path else path.split(".")


def split_index(part: str) -> tuple[str, dict[str, str]]:
    """The name and the values in brackets; a single value without its variable has the name ``""``."""
    name, _, index = part.partition("[")
    values: dict[str, str] = {}
    for item in re.split(_COMMA, index.removesuffix("]")) if index else ():
        variable, equals, value = item.partition("=")
        values[variable if equals else ""] = value if equals else variable
    return name, values


def names_arm(written: str, arm: str) -> bool:
    """Whether a written name means that arm: `grid[0.25]` and `grid[s=25%]` mean `grid[25%]` of a sweep over `s`."""
    if written == arm:
        return True
    (label, values), (its_label, own) = split_index(written), split_index(arm)
    if label != its_label or not values or len(values) != len(own):
        return False
    if len(own) == 1 and ("" in values or "" in own):
        return _same_value(next(iter(values.values())), next(iter(own.values())))
    return values.keys() == own.keys() and all(_same_value(value, own[name]) for name, value in values.items())


def names_path(written: str, path: str) -> bool:
    """Whether a written path means that branch: `dsd[seed=3].late` means `dsd.seed3.late`.

    >>> names_path("grid[0.25].b", "grid[25%].b"), names_path("dsd[seed=3]", "dsd.seed3"), names_path("a", "b")
    (True, True, False)
    """
    parts: list[str] = []
    for part in split_path("".join(written.split())):
        label, values = split_index(part)
        parts += [label, f"seed{values['seed']}"] if tuple(values) == ("seed",) else [part]
    own = split_path(path)
    return len(parts) == len(own) and all(names_arm(one, other) for one, other in zip(parts, own, strict=True))


def _same_value(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return parse_number(one) == parse_number(other)
    except (ValueError, ZeroDivisionError):
        return False


def parse_number(text: str) -> tuple[Fraction, str]:
    """A number, share or length as its value and unit; raises ``ValueError`` for anything else."""
    unit = text[-2:] if text[-2:] in ("ep", "it") else ""
    return exact(text.removesuffix(unit) if unit else text), unit


def arm_name(label: str, values: dict[str, str]) -> str:
    """`grid[25%]` for one variable, `grid[s=25%,w=0]` for several; without a label `s=25%,w=0`."""
    pairs = ",".join(f"{name}={text}" for name, text in values.items())
    if not label:
        return pairs
    return f"{label}[{next(iter(values.values())) if len(values) == 1 else pairs}]"
