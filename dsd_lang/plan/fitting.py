"""Checks that targets fit a model's layers: N:M patterns with shapes, list targets with selectors.

The linter calls the closed forms with a model's inventory; the runtime calls :func:`misfits` for its whole plan before
the first update. This module imports neither pydantic nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from math import gcd

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, Selector, WeightInfo, are_disjoint, covers, match, parse_selector
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan.division import divide
from dsd_lang.plan.weight_units import Unit, undefined_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.model import Plan
    from dsd_lang.plan.parts import Phase, Target

_MOST_SHOWN = 3
_MOST_SUGGESTED = 16
_NARROWER_FIRST = "the first match applies: write the narrower selector first"


class Misfit(NamedTuple):
    """One sentence about what does not fit, a help line, and the code of its page."""

    code: str
    message: str
    help: str
    item: int | None = None


class PhaseMisfit(NamedTuple):
    """A misfit and its phase."""

    phase: Phase
    misfit: Misfit

    def __str__(self) -> str:
        where = f" (line {self.phase.span.line})" if self.phase.span is not None else ""
        return f"{self.misfit.code}: {self.misfit.message}{where}"


def misfits(
    plan: Plan, inventory: Sequence[LayerInfo], *, updates_per_epoch: Callable[[Phase], int] | None = None
) -> tuple[PhaseMisfit, ...]:
    """Everything in a plan that is impossible for a model, each kind of selection once.

    With ``updates_per_epoch``, ramps whose `every=` is in another unit than their phase are checked too. Selectors that
    match nothing are reported by :func:`dsd_lang.plan.division.divide`.
    """
    found: list[PhaseMisfit] = []
    seen: set[tuple[object, ...]] = set()
    for phase in plan.phases:
        if phase.target is None:
            continue
        unit = Unit.of(phase.unit.name, phase.unit.arguments)
        key = (phase.target, phase.layers, phase.except_, phase.duration, phase.batch, unit, phase.scope)
        if key in seen:
            continue
        seen.add(key)
        found += [PhaseMisfit(phase, misfit) for misfit in _of_phase(phase, phase.target, inventory)]
        if updates_per_epoch is not None:
            found += [PhaseMisfit(phase, misfit) for misfit in _of_ramps(phase, updates_per_epoch(phase))]
    return tuple(found)


def require_fit(
    plan: Plan, inventory: Sequence[LayerInfo], *, updates_per_epoch: Callable[[Phase], int] | None = None
) -> None:
    """Raises :class:`DsdError` with all misfits of a plan."""
    found = misfits(plan, inventory, updates_per_epoch=updates_per_epoch)
    if found:
        raise DsdError("; ".join(str(item) for item in found), help=found[0].misfit.help)


def _of_phase(phase: Phase, target: Target, inventory: Sequence[LayerInfo]) -> Iterator[Misfit]:
    if target.kind == "held":
        return
    singles = target.items or ()
    items = tuple(item.selector for item in singles)
    yield from unreachable_items(phase.layers, phase.except_, items, inventory)
    unit = Unit.of(phase.unit.name, phase.unit.arguments)
    misfit = unit_misfit(unit, phase.scope, [one.target.kind for one in singles] or [target.kind])
    if misfit is not None:
        yield misfit
    patterns = [one.target if one.target.kind == "nm" else None for one in singles] or [target]
    for part in divide(phase.layers, phase.except_, items, inventory).parts:
        pattern = patterns[part.item or 0]
        if pattern is not None and pattern.kind == "nm":
            misfit = pattern_misfit(pattern.n or 1, pattern.m or 1, part.weights)
            if misfit is not None:
                yield misfit._replace(item=part.item)


def _of_ramps(phase: Phase, updates_per_epoch: int) -> Iterator[Misfit]:
    assert phase.target is not None
    length = phase.duration.length.updates(updates_per_epoch)
    for one in [item.target for item in phase.target.items] or [phase.target]:
        if one.kind != "ramp" or one.every is None:
            continue
        every = one.every.length.updates(updates_per_epoch)
        if every >= length and one.start != one.end:
            yield Misfit(
                "DSD404",
                f"the ramp selects every {every} updates and its phase has {length}: its left value never holds",
                "write a shorter `every=`, or a longer phase",
            )
            return


def unit_misfit(unit: Unit, scope: str, kinds: Sequence[str]) -> Misfit | None:
    """Why `unit=` is not defined for targets of these kinds with `scope=`; None if it is."""
    chosen = [kind for kind in kinds if kind not in ("held", "current")]
    undefined = undefined_unit(unit, scope, is_pattern="nm" in chosen) if chosen else None
    return None if undefined is None else Misfit("DSD413", *undefined)


def misfitting(m: int, weights: Sequence[WeightInfo]) -> tuple[WeightInfo, ...]:
    """The weights whose number of inputs is not a multiple of M, or that have no input dimension."""
    return tuple(weight for weight in weights if not weight.num_inputs or weight.num_inputs % m)


def pattern_misfit(n: int, m: int, weights: Sequence[WeightInfo]) -> Misfit | None:
    """Why `N:M` does not fit some of the weights it applies to; None if it fits all.

    >>> pattern_misfit(2, 4, [WeightInfo("fc.weight", (10, 6))]).message
    '`2:4` does not fit `fc.weight`: it has 6 inputs, not a multiple of 4'
    """
    wrong = misfitting(m, weights)
    if not wrong:
        return None
    shown = ", ".join(f"`{weight.name}`" for weight in wrong[:_MOST_SHOWN])
    others = len(wrong) - _MOST_SHOWN
    more = f" and {others} other{'s' if others > 1 else ''}" if others > 0 else ""
    counts = list(dict.fromkeys(weight.num_inputs for weight in wrong if weight.num_inputs))
    has = "it has" if len(wrong) == 1 else "they have"
    inputs = " and ".join([", ".join(map(str, counts[:-1])), str(counts[-1])] if counts[1:] else map(str, counts))
    why = f"{has} {inputs} input{'s' if counts != [1] else ''}, not a multiple of {m}"
    if not counts:
        why = f"{has} no input dimension"
    return Misfit("DSD409", f"`{n}:{m}` does not fit {shown}{more}: {why}", _advice(weights, wrong))


def _advice(weights: Sequence[WeightInfo], wrong: Sequence[WeightInfo]) -> str:
    """Another M that fits all of them, else the layers to exclude."""
    common = gcd(*(weight.num_inputs for weight in weights))
    fitting = [m for m in range(2, min(common, _MOST_SUGGESTED) + 1) if common % m == 0]
    owners = list(dict.fromkeys(owner_of(weight) for weight in wrong))
    names = ",".join(f'"{owner}"' for owner in owners) if len(owners) <= _MOST_SHOWN else ""
    leave_out = f"leave {'it' if len(owners) == 1 else 'them'} out with `except={names}`"
    if not fitting:
        return leave_out if len(wrong) < len(weights) else "no pattern fits all of these weights: use a share"
    patterns = " or ".join(f"`N:{m}`" for m in fitting)
    return f"{patterns} fits all of them" + (f"; or {leave_out}" if len(wrong) < len(weights) else "")


def owner_of(weight: WeightInfo) -> str:
    """The layer that a weight's name starts with; the name itself if it has no dot."""
    return weight.name.rpartition(".")[0] or weight.name


def unreachable_items(
    layers: Sequence[str], exclude: Sequence[str], items: Sequence[str], inventory: Sequence[LayerInfo] | None
) -> Iterator[Misfit]:
    """The items of a list target that match no weight, although their selectors are valid.

    Without a model (``inventory`` is None), only items that are unreachable in every model: `[conv: 30%, conv: 50%]`.
    """
    listed = [parse_selector(text) for text in items]
    chosen, left_out = ([parse_selector(text) for text in texts] for texts in (layers, exclude))
    division = None if inventory is None else divide(layers, exclude, items, inventory)
    before: dict[Selector, None] = {}
    for index, selector in enumerate(listed):
        if index:
            before[listed[index - 1]] = None
        if division is not None and (division.parts[index].weights or selector in division.missing):
            continue
        reason = _why_empty(selector, before, chosen, left_out, inventory)
        if reason is not None:
            yield Misfit("DSD201", *reason, item=index)


def _why_empty(
    selector: Selector,
    before: Collection[Selector],
    chosen: Sequence[Selector],
    left_out: Sequence[Selector],
    inventory: Sequence[LayerInfo] | None,
) -> tuple[str, str] | None:
    """A sentence and advice about an item of a list that can match no weight; None if it can."""
    if chosen and not _meet(selector, chosen, inventory):
        only = ",".join(map(str, chosen))
        return (
            f"`{selector}` is not among `layers={only}`, so no weight takes its target",
            "leave `layers=` out: a list target selects the layers that it names",
        )
    if _taken(selector, left_out, inventory):
        return f"`except=` leaves no weight of `{selector}`", "leave one of the two out"
    if _taken(selector, before, inventory):
        takers = ", ".join(f"`{one}`" for one in before if _meet(selector, [one], inventory))
        return (
            f"`{selector}` is never reached: {takers} before it take{'s' if ',' not in takers else ''} all its weights",
            "keep one of them" if selector in before else _NARROWER_FIRST,
        )
    if inventory is None:
        return None
    return f"nothing of `{selector}` is left for its target", _NARROWER_FIRST


def _meet(selector: Selector, others: Sequence[Selector], inventory: Sequence[LayerInfo] | None) -> bool:
    """Whether it and one of the others select (or, without a model, may select) a common weight."""
    if inventory is None:
        return not all(are_disjoint(selector, other) for other in others)
    own = {weight.name for weight in match(selector, inventory)}
    return any(weight.name in own for other in others for weight in match(other, inventory))


def _taken(selector: Selector, others: Collection[Selector], inventory: Sequence[LayerInfo] | None) -> bool:
    """Whether the others select all that it selects; without a model, whether one of them always does."""
    if inventory is None:
        return selector in others or (selector.form == "word" and any(covers(other, selector) for other in others))
    taken = {weight.name for other in others for weight in match(other, inventory)}
    return all(weight.name in taken for weight in match(selector, inventory))
