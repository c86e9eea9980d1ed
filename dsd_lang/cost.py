"""Plan in, budget out: epochs and updates in total, and weighted by the share of weights that is alive."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from dsd_lang.plan import Phase, Plan, Target
from dsd_lang.units import Length, exact, format_exact

# the mean of each ramp's shape over its phase: how far it is from its end, as a share of the way
_MEAN_DISTANCE = {"cubic": Fraction(1, 4), "linear": Fraction(1, 2), "cosine": Fraction(1, 2), "exp": Fraction(1, 2)}
_SEED = re.compile(r"\.seed\d+$")


class Budget(NamedTuple):
    """Epochs and updates, as planned and weighted by density; ``is_complete`` is False where a density is unknown."""

    epochs: Fraction
    updates: Fraction
    weighted_epochs: Fraction
    weighted_updates: Fraction
    is_complete: bool


def budget(plan: Plan) -> Budget:
    """The sum over all phases of a plan, each counted once; a phase with `until` counts with its bound.

    A sparse phase is weighted by the share it keeps of the selected layers. A list target counts as dense, since only
    the model knows its share: then ``is_complete`` is False.
    """
    densities = density_by_phase(plan)
    totals = {"ep": Fraction(0), "it": Fraction(0)}
    weighted = {"ep": Fraction(0), "it": Fraction(0)}
    for phase in plan.phases:
        length = phase.duration.length
        density = densities[phase.id][0]
        totals[length.unit] += length.value
        weighted[length.unit] += length.value * (Fraction(1) if density is None else density)
    is_complete = all(mean is not None for mean, _ in densities.values())
    return Budget(totals["ep"], totals["it"], weighted["ep"], weighted["it"], is_complete)


def density_by_phase(plan: Plan) -> dict[str, tuple[Fraction | None, Fraction | None]]:
    """The mean share alive during each phase and the share alive at its end; None where only the model knows."""
    found: dict[str, tuple[Fraction | None, Fraction | None]] = {}
    for phase in plan.phases:
        before = found[phase.parent][1] if phase.parent is not None else Fraction(1)
        found[phase.id] = _density(phase, before)
    return found


def _density(phase: Phase, before: Fraction | None) -> tuple[Fraction | None, Fraction | None]:
    if phase.mode == "dense" or phase.target is None:
        return Fraction(1), Fraction(1)
    target: Target = phase.target
    if target.kind == "ramp":
        start, end = exact(target.start or "0"), exact(target.end or "0")
        mean = end + (start - end) * _MEAN_DISTANCE[target.shape or "cubic"]
        return 1 - mean, 1 - end
    kept: Fraction | None = None
    if target.kind == "fraction":
        kept = 1 - exact(target.pruned or "0")
    elif target.kind == "remaining" and before is not None:
        kept = before * (1 - exact(target.pruned or "0"))
    elif target.kind == "held":
        kept = before
    elif target.kind == "nm":
        kept = Fraction(target.n or 1, target.m or 1)
    return kept, kept


class Arm(NamedTuple):
    """A branch with the phases before it: its length, and how many times the ``baseline``'s that is."""

    name: str
    epochs: Fraction
    updates: Fraction
    multiple: Fraction
    baseline: str


def arms(plan: Plan) -> tuple[Arm, ...]:
    """The branches measured by the one called `baseline`; without one, the left of each `compare` by its right.

    An arm of several seeds counts once. Lengths of which some are in epochs and some in updates have no ratio: such an
    arm is left out.
    """
    names = tuple(dict.fromkeys(_SEED.sub("", path) for path in plan.branches))
    pairs = [(name, "baseline") for name in names if name != "baseline"]
    if "baseline" not in names:
        pairs = [(item.left, item.right) for item in plan.comparisons if {item.left, item.right} <= {*names}]
    totals = {name: _line_total(plan, name) for pair in pairs for name in pair}
    found: list[Arm] = []
    for name, baseline in dict.fromkeys(pairs):
        (epochs, updates), (its_epochs, its_updates) = totals[name], totals[baseline]
        if not updates and not its_updates and its_epochs:
            found.append(Arm(name, epochs, updates, epochs / its_epochs, baseline))
        elif not epochs and not its_epochs and its_updates:
            found.append(Arm(name, epochs, updates, updates / its_updates, baseline))
    return tuple(found)


def _line_total(plan: Plan, name: str) -> tuple[Fraction, Fraction]:
    last = next(phase for phase in reversed(plan.phases) if _SEED.sub("", phase.path) == name)
    lengths = [phase.duration.length for phase in plan.line(last.id)]
    epochs, updates = (sum((one.value for one in lengths if one.unit == unit), Fraction(0)) for unit in ("ep", "it"))
    return epochs, updates


def in_words(epochs: Fraction, updates: Fraction) -> str:
    """`200ep`, `500it`, `200ep + 500it`; what has no short decimal is rounded to four places."""
    parts = [str(Length(_short(value), unit)) for value, unit in ((epochs, "ep"), (updates, "it")) if value]  # type: ignore[arg-type]
    return " + ".join(parts) or "0ep"


def _short(value: Fraction) -> Fraction:
    return value if len(format_exact(value)) <= 12 else round(value, 4)
