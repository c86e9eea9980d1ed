"""Finds arguments that have no effect on their phase, and the reason for each.

Only arguments of the phase itself are checked; values inherited from `set` need not apply to every phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.layers import LayerInfo, Selector, are_disjoint, match, parse_selector
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import Length, exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft
    from dsd_lang.plan.shapes import ConditionData

Reason = tuple[str, str]
"""Why there is no effect, and what to do."""

_LEAVE_OUT = "leave it out"
_SELECTING = ("layers", "except", "by", "scope", "alloc", "unit", "min", "others")
_TRAINING = ("decay", "floor", "warmup", "opt", "wd", "l1", "clip", "batch", "dropout", "distill", "update", "until")


class Context(NamedTuple):
    """A phase, the model's inventory if it is known, and the kinds of its targets."""

    draft: Draft
    inventory: Sequence[LayerInfo] | None
    kinds: frozenset[str]


def reason_without_effect(draft: Draft, name: str, inventory: Sequence[LayerInfo] | None) -> Reason | None:
    """Why the phase's argument `name=` has no effect in this position; None if it has."""
    value = draft.until if name == "until" else draft.given.said(name)
    if value is None:
        return None
    context = Context(draft, inventory, _kinds(draft))
    for check in _CHECKS.get(name, ()):
        reason = check(context, name, value)
        if reason is not None:
            return reason
    return None


def _kinds(draft: Draft) -> frozenset[str]:
    target = draft.target
    if target is None:
        return _NO_KINDS
    if target["kind"] == "list":
        return frozenset([item["target"]["kind"] for item in target["items"]])
    return frozenset([target["kind"]])


_NO_KINDS: frozenset[str] = frozenset()


def _on_held(context: Context, name: str, value: object) -> Reason | None:
    if context.kinds != {"held"}:
        return None
    return f"`{name}=` has no effect on `held`, which keeps the masks as they are", _LEAVE_OUT


def _on_current(context: Context, name: str, value: object) -> Reason | None:
    if context.kinds != {"current"}:
        return None
    return f"`{name}=` has no effect with `masks=current`, where every zero is pruned and nothing else", _LEAVE_OUT


def _on_pattern(context: Context, name: str, value: object) -> Reason | None:
    if not context.kinds or not context.kinds <= {"nm", "held"}:
        return None
    if name == "min" or value not in ("layer", "uniform"):
        return f"`{name}=` has no effect on a pattern `N:M`, which keeps N of each M inputs everywhere", _LEAVE_OUT
    return None


def _alloc_of_one_competition(context: Context, name: str, value: object) -> Reason | None:
    scope = context.draft.attributes.get("scope")
    if value != "uniform" and scope in _SCOPES_OVER_LAYERS:
        who = _SCOPES_OVER_LAYERS[str(scope)]
        return f"`alloc=` has no effect with `scope={scope}`, where {who} compete for one target", "keep one of the two"
    return None


_SCOPES_OVER_LAYERS = {"global": "all layers", "group": "the layers of a group"}


def _flat_ramp(context: Context, name: str, value: object) -> Reason | None:
    target = context.draft.target
    if target is not None and target["kind"] == "ramp" and exact(target["start"]) == exact(target["end"]):
        return "`ramp=` has no effect: this ramp ends where it starts", _LEAVE_OUT
    return None


def _others_without_masks(context: Context, name: str, value: object) -> Reason | None:
    if value == "hold" and not _has_masks_before(context.draft):
        return "`others=hold` has nothing to hold: no masks are on before this phase", _LEAVE_OUT
    return None


def _has_masks_before(draft: Draft) -> bool:
    return draft.parent is not None and draft.parent.mode == "sparse"


def _state(context: Context, name: str, value: object) -> Reason | None:
    draft = context.draft
    if _starts_elsewhere(draft):
        if value == "reset":
            return None
        return f"`state={value}` has no effect with `from=`, which starts the optimizer's state afresh", _LEAVE_OUT
    if draft.mode == "dense" and not _has_masks_before(draft):
        return "`state=` has no effect: no weight is pruned or revived at the start of this phase", _LEAVE_OUT
    return None


def _starts_elsewhere(draft: Draft) -> bool:
    return draft.source is not None


def _from_the_beginning(context: Context, name: str, value: object) -> Reason | None:
    source = context.draft.source
    if context.draft.parent is not None or source is None or source["kind"] != "reference":
        return None
    if source["reference"]["moment"] == "init":
        return "`from=@init` has no effect on the first phase, which starts from there", _LEAVE_OUT
    return None


def _restored_zero(context: Context, name: str, value: object) -> Reason | None:
    if value == {"kind": "zero"} and _starts_elsewhere(context.draft):
        return "`restore=zero` has no effect with `from=`, which gives the revived weights their values", _LEAVE_OUT
    before = context.draft.parent
    if value == {"kind": "zero"} and before is not None and before.mode == "sparse" and "enforce" in before.attributes:
        return (
            "`restore=zero` has no effect: the phase before has trained the pruned weights on",
            "leave it out, or drop their values first: `sparse held 0it` before it",
        )
    return None


def _floor_twice(context: Context, name: str, value: object) -> Reason | None:
    decay = context.draft.given.decay
    if decay is not None and "floor" in decay:
        return f"`floor=` has no effect: the decay has its own, {decay['floor']}", "keep one of the two"
    return None


def _decay_without_fall(context: Context, name: str, value: object) -> Reason | None:
    decay = context.draft.given.decay
    if decay is None:
        return None
    if decay["kind"] == "constant" and "floor" in decay:
        return (
            "`floor=` has no effect in `constant`, which never falls",
            "leave the floor out, or write `cosine(floor=...)`",
        )
    if exact(decay.get("factor", "0.1")) == 1:
        return f"a decay by the factor 1 changes nothing, so `{decay['kind']}` has no effect", "write a factor below 1"
    return None


def _no_update(context: Context, name: str, value: object) -> Reason | None:
    draft, length = context.draft, context.draft.length
    if length is not None and length.value == 0 and not draft.given.is_off(name):
        written = name if name == "until" else f"{name}="
        return (
            f"`{written}` has no effect: a phase of length 0 trains nothing",
            "leave it out, or give the phase a length",
        )
    return None


def _moves_nothing(context: Context, name: str, value: object) -> Reason | None:
    from dsd_lang.plan.moving import moves_nothing  # few schedules need it

    length = context.draft.length
    if length is None or not length.value or not isinstance(value, dict) or value["name"] == "none":
        return None
    if (length.unit != "ep" and length.unit != "it") or not moves_nothing(value, Length(length.value, length.unit)):
        return None
    return (
        f"`update=` has no effect: no mask update fits into {length.short}",
        "write a shorter `every=`, or a longer phase",
    )


def _excluded_already(context: Context, name: str, value: object) -> Reason | None:
    """`except=` of layers that `layers=` of the same phase does not select."""
    if "layers" not in context.draft.given.arguments or context.kinds == {"held"}:
        return None
    chosen = [parse_selector(text) for text in context.draft.layers]
    for text in context.draft.given.selectors("except") or ():
        selector = parse_selector(text)
        if context.inventory is None:
            is_outside = all(are_disjoint(selector, other) for other in chosen)
        else:
            own = {weight.name for weight in match(selector, context.inventory)}
            selected = {weight.name for other in chosen for weight in match(other, context.inventory)}
            is_outside = bool(own) and not own & selected
        if chosen and is_outside:
            layers = ",".join(context.draft.layers)
            return f"`except={text}` has no effect: `layers={layers}` does not select it", _LEAVE_OUT
    return None


def _without_target(context: Context, name: str, value: object) -> Reason | None:
    """`layers=` beside a list target that has no item for one of its selectors."""
    target = context.draft.target
    if target is None or target["kind"] != "list":
        return None
    items = [parse_selector(item["selector"]) for item in target["items"]]
    are_left = {
        text: _is_left(parse_selector(text), items, context.inventory)
        for text in context.draft.given.selectors("layers") or ()
    }
    if all(are_left.values()):
        return None  # reported by DSD201: no item matches a weight
    for text, is_left in are_left.items():
        if is_left:
            return f"`{text}` in `layers=` has no effect: no item of the list is a target for it", "add a target for it"
    return None


def _is_left(selector: Selector, items: Sequence[Selector], inventory: Sequence[LayerInfo] | None) -> bool:
    """Whether no item of a list applies to any weight of a selector."""
    if inventory is None:
        return all(are_disjoint(selector, item) for item in items)
    named = {weight.name for item in items for weight in match(item, inventory)}
    return not any(weight.name in named for weight in match(selector, inventory))


def _until_of_a_loop(context: Context, name: str, value: object) -> Reason | None:
    until = context.draft.until
    for part in parts_of_condition(until) if until is not None else ():
        if part["kind"] == "call" and CONDITION_FUNCTIONS[part["name"]].needs_loop:
            return (
                f"`{part['name']}` compares the rounds of a loop, and this `until` is a phase's: it never holds",
                f"write it on the loop: `repeat N until {part['name']}(...) ... {{ }}`",
            )
    return None


def _teacher_without_weight(context: Context, name: str, value: object) -> Reason | None:
    teacher = context.draft.given.teacher
    if teacher is not None and exact(teacher.options.get("alpha", "0.8")) == 0:
        return "`distill=` has no effect: with `alpha=0` the teacher's loss has no weight", _LEAVE_OUT
    return None


def parts_of_condition(condition: ConditionData) -> Iterator[ConditionData]:
    """A condition in plan form and all its parts."""
    stack = [condition]
    while stack:
        part = stack.pop()
        yield part
        stack += part.get("args", ())


_Check = Callable[[Context, str, object], Reason | None]
_CHECKED: tuple[tuple[_Check, tuple[str, ...]], ...] = (
    (_on_held, _SELECTING),
    (_on_current, ("by", "scope", "alloc", "unit", "min")),
    (_on_pattern, ("min", "scope", "alloc")),
    (_alloc_of_one_competition, ("alloc",)),
    (_flat_ramp, ("ramp",)),
    (_others_without_masks, ("others",)),
    (_state, ("state",)),
    (_from_the_beginning, ("from",)),
    (_restored_zero, ("restore",)),
    (_floor_twice, ("floor",)),
    (_decay_without_fall, ("decay",)),
    (_no_update, _TRAINING),
    (_moves_nothing, ("update",)),
    (_excluded_already, ("except",)),
    (_without_target, ("layers",)),
    (_until_of_a_loop, ("until",)),
    (_teacher_without_weight, ("distill",)),
)
"""Each check and the arguments that it is about."""
_CHECKS = {
    name: tuple(check for check, names in _CHECKED if name in names)
    for name in {name for _, names in _CHECKED for name in names}
}
CHECKED = frozenset(_CHECKS)
"""The arguments that may have no effect."""
