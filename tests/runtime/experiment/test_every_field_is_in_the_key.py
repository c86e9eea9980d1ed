"""Whatever a phase or a run can be told is in the key of a node, or is named here as changing no number.

The fields come from the plan's own classes, so that one added later is in one of the two.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Literal, Union, get_args, get_origin

import pytest

import dsd_lang
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.parts import Distillation, PlanPart, ReferenceInfo, SelectorTarget, Target
from dsd_runtime.experiment.keys import RunSettings, node_keys

SETTING = RunSettings("conv2", "digits#abc", 0, "fp32", "cpu", False)

NOT_ITS_NUMBERS = frozenset(
    {"id", "label", "path", "parent", "derived", "why", "span", "variables", "cycles", "rng", "seed_index"}
)
"""What says where a phase stands and how it was written, and what counts only inside a branch (tested below)."""

TEXT = """a: dense 2ep lr=0.1
b: sparse 0->50% ramp=cubic every=3it layers=fc except=output 4ep lr=0.2 decay=step(30%,1ep,by=0.5) warmup=2it \
by=magnitude(order=largest) clip=value(5) opt=sgd(momentum=0.9) wd=1e-3 l1=1e-4 batch=64 dropout=0.3 state=keep \
others=hold min=3 until val.loss < 10% and plateau(val.err, patience=2) from=@a.5it clock=@a.5it"""


OTHERS: dict[str, Any] = {
    "reference": ReferenceInfo(moment="init"),
    "distill": Distillation(teacher=ReferenceInfo(moment="init")),
    "items": (SelectorTarget(selector="fc", target=Target(kind="held")),),
    "until": None,
}
"""Another value where it has a structure of its own."""


def _leaves(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field below a class of the plan, as (names on the way, its type), those in `OTHERS` as one."""
    for name, field in kind.model_fields.items():
        inner = _part_in(field.annotation)
        if inner is not None and name not in OTHERS:
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), field.annotation


def _part_in(annotation: Any) -> type[PlanPart] | None:
    found = [
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, PlanPart)
    ]
    return found[0] if found and get_origin(annotation) in (None, Union, types.UnionType) else None


LEAVES = [(path, kind) for path, kind in _leaves(Phase) if path[0] not in NOT_ITS_NUMBERS]


def _another(value: Any, annotation: Any) -> Any:
    """Some other value for a field."""
    choices = [word for kind in (annotation, *get_args(annotation)) if get_origin(kind) is Literal
               for word in get_args(kind)]  # fmt: skip
    if choices:
        return next(word for word in choices if word != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}1"
    if isinstance(value, tuple | list):
        return value[1:] or ("another",)
    if isinstance(value, dict):
        return {**value, "another": "1"}
    kinds = get_args(annotation)
    return 7 if int in kinds else "7"


def _changed(part: Any, path: tuple[str, ...], annotation: Any) -> Any:
    """A copy of a part with another value at the end of a path; what is absent on the way is made."""
    name, *rest = path
    value = getattr(part, name)
    if not rest:
        return part.model_copy(update={name: OTHERS[name] if name in OTHERS else _another(value, annotation)})
    if value is None:
        kind = _part_in(type(part).model_fields[name].annotation)
        assert kind is not None
        value = kind.model_construct(**dict.fromkeys(kind.model_fields, None))
    return part.model_copy(update={name: _changed(value, tuple(rest), annotation)})


def _with(plan: Plan, phase: Phase) -> Plan:
    return plan.model_copy(update={"phases": tuple(phase if phase.id == p.id else p for p in plan.phases)})


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(("path", "annotation"), LEAVES, ids=[".".join(path) for path, _ in LEAVES])
def test_every_field_of_a_phase_changes_its_key(path: tuple[str, ...], annotation: Any) -> None:
    plan = dsd_lang.compile(TEXT)
    before = node_keys(plan, SETTING)
    phase = plan.phases[1]
    after = node_keys(_with(plan, _changed(phase, path, annotation)), SETTING)
    assert before[plan.phases[0].id] == after[plan.phases[0].id]
    assert before[phase.id] != after[phase.id]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(("path", "annotation"), LEAVES, ids=[".".join(path) for path, _ in LEAVES])
def test_branches_that_differ_in_one_field_are_two_trainings(path: tuple[str, ...], annotation: Any) -> None:
    """They share all the rest, as the values of a sweep do."""
    trunk, _, member = TEXT.partition("b: ")
    plan = dsd_lang.compile(f"{trunk}fork {{ x: {member}\ny: {member} }}")
    _, first, second = plan.phases
    twin = first.model_copy(update={name: getattr(second, name) for name in NOT_ITS_NUMBERS})
    alike = node_keys(_with(plan, twin), SETTING)
    assert alike[first.id] == alike[second.id]
    differing = node_keys(_with(plan, _changed(twin, path, annotation)), SETTING)
    assert differing[first.id] != differing[second.id]


def test_the_exceptions_are_fields() -> None:
    assert set(Phase.model_fields) >= NOT_ITS_NUMBERS


@pytest.mark.parametrize("name", [field.name for field in fields(RunSettings)])
def test_every_field_of_the_setting_changes_every_key(name: str) -> None:
    plan = dsd_lang.compile(TEXT)
    value = getattr(SETTING, name)
    other = replace(SETTING, **{name: _another(value, type(value))})
    assert not set(node_keys(plan, SETTING).values()) & set(node_keys(plan, other).values())


def _branch_keys(fork: str, branch: str = "dense 1ep lr=0.1") -> list[str]:
    plan = dsd_lang.compile(f"dense 1ep lr=0.1\nfork{fork} {{ a: {branch}\n b: {branch} }}")
    keys = node_keys(plan, SETTING)
    return [keys[phase.id] for phase in plan.phases if phase.path]


def test_what_a_branch_draws_for_itself_is_in_its_key() -> None:
    assert len(set(_branch_keys(""))) == 1
    assert len(set(_branch_keys(" rng=distinct"))) == 2
    assert len(set(_branch_keys(" seeds=3"))) == 3
    assert len(set(_branch_keys("", "dense 1ep lr=0.1 from=random"))) == 2
    assert len(set(_branch_keys(" seeds=2 rng=distinct"))) == 4
