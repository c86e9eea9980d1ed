"""When the masks of a phase with `update=` move, and how far: its closed form (language reference, section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.options import UPDATES
from dsd_lang.base.units import Length, exact, parse_length
from dsd_lang.plan.ramps import ramp_value

if TYPE_CHECKING:
    from dsd_lang.plan.parts import Phase

_OPTIONS = {option.name: option for option in UPDATES}


class MaskUpdates(NamedTuple):
    """The mask updates of a phase: every ``every`` updates, but not at the first, while fewer than ``end`` are done.

    ``drop`` is the share of the unpruned weights that moves at the start.
    """

    name: str
    drop: Fraction
    every: int
    end: Fraction

    @classmethod
    def of(cls, phase: Phase, updates_per_epoch: int) -> MaskUpdates | None:
        """Those of a phase; None without `update=`."""
        choice = phase.update
        if choice is None or choice.name == "none":
            return None
        length = phase.duration.length.updates(updates_per_epoch)
        name, given = choice.name, choice.arguments
        every = parse_length(_argument(name, given, "every")).updates(updates_per_epoch)
        drop = exact(_argument(name, given, "drop")) if _OPTIONS[name].parameter("drop") is not None else Fraction(1)
        return cls(name, drop, every, exact(_argument(name, given, "until")) * length)

    def is_due(self, step: int) -> bool:
        """Whether update ``step`` of the phase (from 0) moves the masks."""
        return 0 < step < self.end and step % self.every == 0

    def share(self, step: int) -> Fraction:
        """The share of the unpruned weights that a mask update drops: drop/2 (1 + cos(pi step / end)).

        Equation (1) of Evci et al., *Rigging the Lottery*, ICML 2020.
        """
        return ramp_value(self.drop, Fraction(0), "cosine", Fraction(step) / self.end)

    def count(self, updates: int) -> int:
        """How many of the first ``updates`` of the phase move the masks."""
        return max(0, min(updates, math.ceil(self.end)) - 1) // self.every


def moves_nothing(choice: Mapping[str, Any], length: Length) -> bool:
    """Whether a phase of that length, in the unit of `every=`, has no mask update; ``choice`` is plain data.

    >>> moves_nothing({"name": "rigl", "arguments": {}}, parse_length("120it"))
    True
    """
    name, given = choice["name"], choice["arguments"]
    every = parse_length(_argument(name, given, "every"))
    return every.unit == length.unit and every.value >= exact(_argument(name, given, "until")) * length.value


def _argument(method: str, given: Mapping[str, Any], name: str) -> str:
    """An argument of `update=`, or its default."""
    parameter = _OPTIONS[method].parameter(name)
    assert parameter is not None
    return str(given.get(name, parameter.default or parameter.example))


def why_fixed(line: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Why `update=` cannot move the masks of a phase, and what to do; None if it can, or if there is none.

    ``line`` has the plain data (the plan's JSON) of the phase and then of those before it, the nearest first.
    """
    phases = iter(line)
    phase = next(phases)
    name = _word(phase, "update")
    kinds = _kinds(phase)
    if name in (None, "none") or not kinds:
        return None
    chosen_by = [phase, *_held(phases)] if "held" in kinds else [phase]
    units = {_word(one, "unit") for one in chosen_by if _kinds(one) != {"held"}} - {None, "weight"}
    for unit in sorted(map(str, units)):
        return f"`update={name}` moves single weights, and `unit={unit}` prunes several as one", "keep one of the two"
    if (phase.get("by") or {}).get("name") == "movement":
        return f"`update={name}` and `by=movement` both choose masks while the phase trains", "keep one of the two"
    kinds = {kind for one in chosen_by for kind in _kinds(one)}
    if "nm" in kinds and (name != "magnitude" or "held" in kinds):
        advice = "prune a share (`sparse 50%`); on `sparse 2:4` itself `update=magnitude` keeps the pattern"
        return f"`update={name}` moves single weights, which would break a pattern `N:M`", advice
    return None


def _held(earlier: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The phases that chose, or held, the masks which a phase after them holds."""
    for phase in earlier:
        kinds = _kinds(phase)
        if not kinds:
            return
        yield phase
        if kinds != {"held"} and phase.get("others") != "hold":
            return


def _word(phase: Mapping[str, Any], argument: str) -> str | None:
    """The word of an argument that may have parameters."""
    return (phase.get(argument) or {}).get("name")


def _kinds(phase: Mapping[str, Any]) -> set[str]:
    """The kinds of a phase's targets; none of a dense one."""
    target = phase.get("target")
    if target is None:
        return set()
    return {item["target"]["kind"] for item in target.get("items") or ()} or {target["kind"]}
