"""Checks of plans beyond their types: readable numbers, consistent attributes, parents before children.

A plan.json may come from anywhere; a plan that passes these checks can be hashed, drawn and compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ValidationError

from dsd_lang.base.units import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from dsd_lang.plan.parts import Condition, Decay, Expectation, LearningRate, Phase, ReferenceInfo, Target

_NEEDED_BY_TARGET: Mapping[str, tuple[str, ...]] = {
    "fraction": ("pruned",), "remaining": ("pruned",), "nm": ("n", "m"), "ramp": ("start", "end", "shape", "every"),
    "held": (), "current": (), "list": ("items",),
}  # fmt: skip
_OPERANDS = {"compare": 2, "arithmetic": 2, "not": 1}
_OPERATORS = {"compare": ("<", "<=", ">", ">=", "==", "!="), "arithmetic": ("+", "-", "*", "/")}


def _value(text: str) -> Fraction:
    try:
        return exact(text)
    except ZeroDivisionError as error:
        raise ValueError(f"`{text[:40]}` divides by zero") from error
    except ValueError as error:
        raise ValueError(f"`{text[:40]}` is not a number of a plan") from error


def _number(text: str) -> str:
    _value(text)
    return text


def _not_negative(text: str) -> str:
    if _value(text) < 0:
        raise ValueError(f"`{text[:40]}` is below 0")
    return text


def _share(text: str) -> str:
    if not 0 <= _value(text) < 1:
        raise ValueError(f"`{text[:40]}` is not a share from 0 to below 1")
    return text


Number = Annotated[str, AfterValidator(_number)]
"""A text that :func:`dsd_lang.base.units.exact` reads."""
NotNegative = Annotated[str, AfterValidator(_not_negative)]
ShareText = Annotated[str, AfterValidator(_share)]


def check_target(target: Target) -> None:
    """Raises ``ValueError`` unless a target has the fields that its kind needs."""
    missing = [name for name in _NEEDED_BY_TARGET[target.kind] if getattr(target, name) in (None, ())]
    if missing:
        raise ValueError(f"a target of kind `{target.kind}` needs `{missing[0]}`")
    if target.kind == "nm" and not 0 < (target.n or 0) < (target.m or 0):
        raise ValueError(f"`{target.n}:{target.m}` keeps no share of its weights")
    for item in target.items:
        if item.target.kind == "list":
            raise ValueError("a list has no lists in it")


def check_rate(rate: LearningRate) -> None:
    """Raises ``ValueError`` unless the start of the learning rate is defined."""
    if (rate.start is None) == (rate.of is None):
        raise ValueError("a learning rate has one of `start` and `of`")
    if rate.of == "last" and rate.phase is None:
        raise ValueError("a rate of `last` needs `phase`")


def check_decay(decay: Decay) -> None:
    """Raises ``ValueError`` unless a factor is above 0 and at most 1; otherwise the rate could grow without limit."""
    if decay.factor is not None and not 0 < exact(decay.factor) <= 1:
        raise ValueError(f"the factor `{decay.factor[:40]}` is not above 0 and at most 1")


def check_reference(reference: ReferenceInfo) -> None:
    """Raises ``ValueError`` unless a reference has the fields that its moment needs."""
    if reference.moment == "file" and not reference.file:
        raise ValueError("a reference to a file needs `file`")
    if reference.moment not in ("file", "init") and reference.phase is None:
        raise ValueError(f"a reference to `{reference.moment}` needs `phase`")
    if (reference.moment == "at") != (reference.offset is not None):
        raise ValueError("a reference has an `offset` where its moment is `at`, and only there")


def check_condition(condition: Condition) -> None:
    """Raises ``ValueError`` unless a condition has the operands, operator or name that its kind needs."""
    kind, count = condition.kind, len(condition.args)
    if count != _OPERANDS.get(kind, count) or (kind in ("and", "or") and not count):
        raise ValueError(f"a condition of kind `{kind}` has {count} operands")
    if kind in _OPERATORS and condition.op not in _OPERATORS[kind]:
        raise ValueError(f"a condition of kind `{kind}` has no operator `{condition.op}`")
    if kind in ("call", "metric") and not condition.name:
        raise ValueError(f"a condition of kind `{kind}` needs `name`")
    if kind == "number" and condition.value is None:
        raise ValueError("a number needs `value`")
    if kind == "p" and condition.comparison is None:
        raise ValueError("a condition of kind `p` needs `comparison`")


def check_expectations(expectations: Iterable[Expectation], num_comparisons: int) -> None:
    """Raises ``ValueError`` if a p value is that of a comparison that the plan does not have."""
    parts = [expectation.condition for expectation in expectations]
    while parts:
        part = parts.pop()
        parts += part.args
        if part.comparison is not None and part.comparison >= num_comparisons:
            raise ValueError(f"an `expect` asks for comparison {part.comparison} of {num_comparisons}")


def check_phases(phases: Iterable[Phase]) -> None:
    """Raises ``ValueError`` unless every phase has a unique id and a parent before it."""
    before: set[str] = set()
    for phase in phases:
        if phase.id in before:
            raise ValueError(f"two phases have the id `{phase.id[:40]}`")
        if phase.parent is not None and phase.parent not in before:
            raise ValueError(f"the parent `{phase.parent[:40]}` of `{phase.id[:40]}` is not an earlier phase")
        before.add(phase.id)


def check_settings(settings: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Raises ``ValueError`` for a setting without an origin, or one that no schedule could contain."""
    for name, value in settings.items():
        if name not in origins:
            raise ValueError(f"nothing says where the setting `{name[:40]}` is from")
        if not _is_setting(value):
            raise ValueError(f"the setting `{name[:40]}` is not a value that a schedule can contain")


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, str) for item in value)
    if not isinstance(value, dict):
        return isinstance(value, (str, int))
    from dsd_lang.plan.parts import Decay, Function  # checked by check_phases

    try:
        (Decay if "kind" in value else Function).model_validate(value)
    except ValidationError:
        return False
    return True
