"""Computes a plan's cost: epochs and updates in total, and weighted by the share of weights that is not pruned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import Length, approximate, bounded, exact, format_exact
from dsd_lang.plan import Phase, Plan, Target
from dsd_lang.plan.content import distinct_phases
from dsd_lang.plan.ramps import ramp_mean
from dsd_lang.plan.seeds import arm_of, phases_by_arm

Densities = Mapping[str, tuple[Fraction | None, Fraction | None]]
"""By phase id: the mean share not pruned during the phase, and that at its end; None if unknown."""


class Budget(NamedTuple):
    """Epochs and updates, as planned and weighted by density; ``is_complete`` is False if a density is unknown."""

    epochs: Fraction
    updates: Fraction
    weighted_epochs: Fraction
    weighted_updates: Fraction
    is_complete: bool


def budget(plan: Plan, densities: Densities | None = None) -> Budget:
    """The sum over all phases of a plan; a shared phase counts once, a phase with `until` with its full length.

    A sparse phase is weighted by the share of the selected weights that it keeps: by ``densities`` (of a model, see
    :func:`dsd_lang.plan.layer_counts.densities`), else by what is known from the plan alone. A phase with unknown
    density counts as dense, and ``is_complete`` is False.
    """
    densities = density_by_phase(plan) if densities is None else densities
    totals = {"ep": Fraction(0), "it": Fraction(0)}
    weighted = {"ep": Fraction(0), "it": Fraction(0)}
    trained = distinct_phases(plan)
    for phase in trained:
        length = phase.duration.length
        density = densities[phase.id][0]
        totals[length.unit] = bounded(totals[length.unit] + length.value)
        share = Fraction(1) if density is None else density
        weighted[length.unit] = bounded(weighted[length.unit] + length.value * share)
    is_complete = all(densities[phase.id][0] is not None for phase in trained)
    return Budget(totals["ep"], totals["it"], weighted["ep"], weighted["it"], is_complete)


def density_by_phase(plan: Plan) -> Densities:
    """The shares not pruned, as far as the plan alone determines them: not for a list of targets."""
    found: dict[str, tuple[Fraction | None, Fraction | None]] = {}
    before: dict[str | None, Phase] = {}
    for phase in plan.phases:
        parent = before.get(phase.parent)
        alive = found[parent.id][1] if parent is not None else Fraction(1)
        found[phase.id] = _density(phase, parent, alive)
        before[phase.id] = phase
    return found


def _density(phase: Phase, parent: Phase | None, before: Fraction | None) -> tuple[Fraction | None, Fraction | None]:
    if phase.mode == "dense" or phase.target is None:
        return Fraction(1), Fraction(1)
    target: Target = phase.target
    if target.kind == "ramp":
        start, end = exact(target.start or "0"), exact(target.end or "0")
        return ramp_mean(1 - start, 1 - end, target.shape or "cubic"), 1 - end
    kept: Fraction | None = None
    if target.kind == "fraction":
        kept = 1 - exact(target.pruned or "0")
    elif target.kind == "remaining":
        alive = before if parent is None or parent.mode == "dense" or _selects_alike(parent, phase) else None
        kept = None if alive is None else bounded(alive * (1 - exact(target.pruned or "0")))
    elif target.kind == "held":
        kept = before
    elif target.kind == "nm":
        kept = Fraction(target.n or 1, target.m or 1)
    return kept, kept


def _selects_alike(parent: Phase, phase: Phase) -> bool:
    return (set(parent.layers), set(parent.except_)) == (set(phase.layers), set(phase.except_))


class Arm(NamedTuple):
    """A branch with the phases before it: its length, and the ratio to that of the ``baseline``."""

    name: str
    epochs: Fraction
    updates: Fraction
    multiple: Fraction
    baseline: str


def arms(plan: Plan) -> tuple[Arm, ...]:
    """The branches compared to the one called `baseline`; without one, the left side of each `compare` to the right.

    An arm with several seeds counts once. Arms with lengths in both epochs and updates have no ratio and are left out.
    """
    names = tuple(dict.fromkeys(arm_of(path) for path in plan.branches))
    pairs = [(name, "baseline") for name in names if name != "baseline"]
    if "baseline" not in names:
        pairs = [(item.left, item.right) for item in plan.comparisons if {item.left, item.right} <= {*names}]
    by_arm = phases_by_arm(plan.phases)
    totals = {name: _line_total(plan, by_arm[name]) for pair in pairs for name in pair}
    found: list[Arm] = []
    for name, baseline in dict.fromkeys(pairs):
        (epochs, updates), (its_epochs, its_updates) = totals[name], totals[baseline]
        if not updates and not its_updates and its_epochs:
            found.append(Arm(name, epochs, updates, epochs / its_epochs, baseline))
        elif not epochs and not its_epochs and its_updates:
            found.append(Arm(name, epochs, updates, updates / its_updates, baseline))
    return tuple(found)


def first_phase_multiple(plan: Plan) -> Fraction | None:
    """How many times the length of its first dense phase a linear plan trains, as in the DSD paper.

    None for a plan with branches, without a dense start, or with lengths in different units.
    """
    if len(plan.phases) < 2:
        return None
    first, units = plan.phases[0], {phase.duration.unit for phase in plan.phases}
    length = first.duration.length.value
    if plan.branches or len(units) > 1 or first.mode == "sparse" or not length:
        return None
    return _sum(phase.duration.length.value for phase in plan.phases) / length


def _sum(values: Iterable[Fraction]) -> Fraction:
    total = Fraction(0)
    for value in values:
        total = bounded(total + value)
    return total


def _line_total(plan: Plan, seeds: Mapping[str, Sequence[Phase]]) -> tuple[Fraction, Fraction]:
    *_, of_last_seed = seeds.values()
    lengths = [phase.duration.length for phase in plan.line(of_last_seed[-1].id)]
    epochs, updates = (_sum(one.value for one in lengths if one.unit == unit) for unit in ("ep", "it"))
    return epochs, updates


def in_words(epochs: Fraction, updates: Fraction) -> str:
    """`200ep`, `500it`, `200ep + 500it`; numbers without a short decimal are rounded to four places."""
    parts = [str(Length(_short(value), unit)) for value, unit in ((epochs, "ep"), (updates, "it")) if value]  # type: ignore[arg-type]
    return " + ".join(parts) or "0ep"


def times(multiple: Fraction) -> str:
    """A multiple with three significant digits: `1.67`, `0.333`, `5001`."""
    return f"{approximate(multiple):{'.3g' if multiple < 1000 or multiple >= 10**15 else '.0f'}}"


def _short(value: Fraction) -> Fraction:
    written = format_exact(value)
    return value if "/" not in written and len(written) <= 12 else round(value, 4)
