"""Gives an arm the same colour in every figure of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsd_runtime.results.figures.parts import Figure

NUM_COLOURS = 10
"""As many as the page's script has."""


def with_same_colours(figures: Sequence[Figure]) -> list[Figure]:
    """The figures with one scale of colours for all arms, in the order in which they first occur.

    A legend names only the arms of its own figure. With more arms than colours each figure keeps a scale of its own:
    on a common one, arms of the same figure could have the same colour.
    """
    every = list(dict.fromkeys(arm for figure in figures for arm in _arms(figure)))
    if len(every) > NUM_COLOURS:
        return list(figures)
    return [figure._replace(spec=_coloured(figure.spec, every, _arms(figure))) for figure in figures]


def _arms(figure: Figure) -> list[str]:
    return list(dict.fromkeys(row["arm"] for row in figure.spec["data"]["values"] if "arm" in row))


def _coloured(part: Any, every: Sequence[str], own: Sequence[str]) -> Any:
    """A specification whose colours of arms, wherever they are in it, are of the scale of all arms."""
    if isinstance(part, list):
        return [_coloured(one, every, own) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: value if key == "data" else _coloured(value, every, own) for key, value in part.items()}
    color = found.get("color")
    if own and isinstance(color, dict) and color.get("field") == "arm":
        named = {"legend": {**color["legend"], "values": list(own)}} if color.get("legend") else {}
        found["color"] = {**color, "scale": {"domain": list(every)}, **named}
    return found
