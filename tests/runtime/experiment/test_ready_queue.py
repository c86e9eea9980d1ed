"""Which phase is trained next, by one worker or by several; what a failure gives up."""

from __future__ import annotations

import random
from collections.abc import Iterator

import dsd_lang
from dsd_lang.plan import Plan
from dsd_lang.plan.dependencies import dependency_graph, execution_order
from dsd_runtime.experiment.ready import ReadyQueue

FORK = """
base: dense 1ep lr=0.1
fork {
  long: { a1: sparse 50% 2ep
          a2: dense 9ep }
  short: { b1: sparse 25% 1ep
           b2: dense 1ep }
}
tail: dense 5ep
"""


def _plan(text: str) -> tuple[Plan, dict[str, int]]:
    plan = dsd_lang.compile(text)
    return plan, {phase.id: int(phase.duration.length.updates(10)) for phase in plan.phases}


def _names(plan: Plan) -> dict[str, str]:
    return {phase.id: phase.label or phase.id for phase in plan.phases}


def _drained(queue: ReadyQueue) -> Iterator[str]:
    last = None
    while (taken := queue.take(last)) is not None:
        yield taken
        queue.done(taken)
        last = taken


def test_one_worker_goes_in_the_order_of_the_schedule() -> None:
    plan, _ = _plan(FORK)
    assert list(_drained(ReadyQueue(plan))) == [phase.id for phase in execution_order(plan)]


def test_the_main_line_is_first_then_what_most_updates_depend_on_and_a_worker_stays_on_its_line() -> None:
    plan, updates = _plan(FORK)
    names = _names(plan)
    assert [names[one] for one in _drained(ReadyQueue(plan, updates))] == ["base", "tail", "a1", "a2", "b1", "b2"]
    two = ReadyQueue(plan, updates)
    base = str(two.take())
    assert two.take() is None, "everything waits for the first phase"
    two.done(base)
    taken = [two.take(), two.take(), two.take()]
    assert [names[str(one)] for one in taken] == ["tail", "a1", "b1"]
    two.done(str(taken[2]))
    two.done(str(taken[1]))
    assert names[str(two.take(taken[2]))] == "b2", "it goes on with the line that it has, though a2 is longer"


def test_what_a_failed_phase_gives_up_is_what_needs_it() -> None:
    plan, updates = _plan(FORK)
    names = _names(plan)
    queue = ReadyQueue(plan, updates)
    queue.done(str(queue.take()))
    while (taken := queue.take()) is not None and names[taken] != "a1":
        pass
    assert taken is not None
    assert [names[one] for one in queue.failed(taken)] == ["a2"]
    assert queue.unfinished == 3, "tail, b1, b2"


def test_what_was_put_back_is_taken_again_once() -> None:
    plan, _ = _plan(FORK)
    queue = ReadyQueue(plan)
    first = str(queue.take())
    assert queue.take() is None
    queue.put_back(first)
    assert (queue.take(), queue.take()) == (first, None)


def test_a_teacher_is_trained_before_its_student() -> None:
    text = "t: dense 1ep lr=0.1\nfork { x: sparse 50% 1ep\n y: sparse 25% 1ep distill=@x.end }"
    plan, updates = _plan(text)
    order = list(_drained(ReadyQueue(plan, updates)))
    graph = dependency_graph(plan)
    assert all(order.index(before) < order.index(after) for before, after in graph.edges)


def test_random_workers_of_a_large_tree_train_each_phase_once_after_what_it_needs() -> None:
    """10,000 phases, up to 7 at once, which end in random order."""
    values = ", ".join(f"{share / 50:g}%" for share in range(1, 5000))
    plan, updates = _plan(f"dense 1ep lr=0.1\nsweep s in {values} {{\n sparse s 1ep\n dense 1ep\n}}")
    assert len(plan.phases) == 9999
    graph, draws = dependency_graph(plan), random.Random(3)
    queue, running, done = ReadyQueue(plan, updates), list[str](), dict[str, None]()
    while queue.unfinished:
        while len(running) < 7 and (taken := queue.take(next(reversed(done), None))) is not None:
            assert all(before in done for before in graph.predecessors(taken))
            running.append(taken)
        ended = running.pop(draws.randrange(len(running)))
        queue.done(ended)
        done[ended] = None
    assert sorted(done) == sorted(phase.id for phase in plan.phases)
