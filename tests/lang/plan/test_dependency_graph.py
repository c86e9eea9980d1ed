"""Which phase needs which, and by which of its arguments."""

from __future__ import annotations

import dsd_lang
from dsd_lang.plan.dependencies import dependency_graph

TEXT = """a: dense 2ep lr=0.1
b: sparse 50% 1ep
c: dense 1ep lr=0.1 from=@a.end clock=@a.1ep restore=@b.end
fork { x: dense 1ep from=@a.end
 y: dense 1ep }"""


def test_a_branch_by_itself_has_the_edges_within_it() -> None:
    plan = dsd_lang.compile(
        "a: dense 2ep lr=1\ndense 1ep\nfork { x: dense 1ep\n y: dense 1ep from=@x.end clock=@a.1ep }"
    )
    edges = dependency_graph(plan.branch("y")).edges(data="arguments")
    assert list(edges) == [("p0", "p1", ()), ("p0", "p3", ("clock",)), ("p1", "p3", ())]


def test_edges_have_every_argument_that_names_a_phase() -> None:
    plan = dsd_lang.compile(TEXT)
    graph = dependency_graph(plan)
    names = {phase.id: phase.label or phase.path for phase in plan.phases}
    edges = {
        (names[needed], names[user]): (data["kind"], set(data["arguments"]))
        for needed, user, data in graph.edges(data=True)
    }
    assert edges == {
        ("a", "b"): ("parent", set()),
        ("b", "c"): ("parent", {"restore"}),
        ("a", "c"): ("reference", {"from", "clock"}),
        ("c", "x"): ("parent", set()),
        ("a", "x"): ("reference", {"from"}),
        ("c", "y"): ("parent", set()),
    }
    assert set(graph.nodes) == set(names)
