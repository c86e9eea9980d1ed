"""The order in which a runner trains: behind what is needed, else as written."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan.dependencies import dependency_graph, execution_order

TREE = """a: dense 2ep lr=0.1
fork { x: { sparse 50% 2ep; dense 1ep }  y: { dense 2ep; sparse 50% from=@x.end 1ep } }
dense 1ep restore=@a.start
"""


def test_a_compiled_plan_is_in_execution_order() -> None:
    plan = dsd_lang.compile(TREE)
    assert execution_order(plan) == plan.phases


def test_phases_in_another_order_are_put_right() -> None:
    plan = dsd_lang.compile(TREE)
    turned = plan.model_copy(update={"phases": plan.phases[::-1]})
    seen: set[str] = set()
    for phase in execution_order(turned):
        assert set(dependency_graph(plan).predecessors(phase.id)) <= seen
        seen.add(phase.id)
    assert len(seen) == len(plan.phases)


def test_phases_that_need_each_other_are_refused() -> None:
    plan = dsd_lang.compile("dense 1ep lr=1; dense; dense")
    first = plan.phases[0].model_copy(update={"parent": "p2"})
    with pytest.raises(DsdError, match="the plan's phases need each other: p0 -> p1 -> p2"):
        execution_order(plan.model_copy(update={"phases": (first, *plan.phases[1:])}))
