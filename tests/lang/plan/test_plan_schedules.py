"""The schedules that must work: every one compiles, and the facts of the papers' tables come out."""

from __future__ import annotations

import networkx as nx

import dsd_lang
from dsd_lang.plan import Plan
from dsd_lang.views.graph import PhaseGraph


def rates(plan: Plan, path: str = "") -> list[str | None]:
    return [phase.lr.start for phase in plan.phases if phase.path == path]


def test_deep_speech_tables_7_and_9() -> None:
    plan = dsd_lang.compile("""
fork {
  dsd: { dense 20ep lr=3e-4; sparse 50% layers=fc,birnn; dense; repeat sparse 25% then dense lr=6e-6 }
  baseline: dense 60ep lr=3e-4
}
compare dsd vs baseline on=test.wer
expect dsd.test.wer < baseline.test.wer
""")
    assert rates(plan, "dsd") == ["3e-4", "3e-4", "3e-5", "3e-5", "6e-6"]
    assert rates(plan, "baseline") == ["3e-4"]
    assert (plan.comparisons[0].left, plan.comparisons[0].right, plan.comparisons[0].on) == (
        "dsd",
        "baseline",
        "test.wer",
    )
    assert plan.expectations[0].text == "dsd.test.wer < baseline.test.wer"
    assert plan.expectations[0].condition.args[0].name == "dsd.test.wer"


def test_branches_start_from_the_fork_and_inherit_from_the_trunk() -> None:
    plan = dsd_lang.compile("""
base: dense 250ep lr=1e-2
fork { dsd: { sparse 30% 11ep lr=1e-3; dense 22ep }  llr: dense lr=1e-5 }
dense lr=prev/2
""")
    assert [(phase.path, phase.parent) for phase in plan.phases] == [
        ("", None), ("dsd", "p0"), ("dsd", "p1"), ("llr", "p0"), ("", "p0"),
    ]  # fmt: skip
    assert [phase.duration.value for phase in plan.phases] == ["250", "11", "22", "250", "250"]
    assert rates(plan) == ["0.01", "5e-3"]
    assert plan.phases[2].lr.start == "1e-4"
    assert [phase.id for phase in plan.branch("dsd").phases] == ["p0", "p1", "p2"]


def test_significance_sixteen_seeds_from_one_baseline() -> None:
    plan = dsd_lang.compile("""
base: dense 164ep lr=0.1 decay=step(81ep, 122ep, by=0.1)
fork seeds=16 rng=distinct {
  dsd:      { sparse 50% 45ep lr=1e-3; dense 45ep lr=1e-4 }
  finetune: { dense 45ep lr=1e-3; dense 45ep lr=1e-4 }
}
compare dsd vs finetune on=test.err test=student
""")
    assert len(plan.phases) == 1 + 16 * 4
    assert plan.branches[:2] == ("dsd.seed0", "dsd.seed1")
    seeded = [phase for phase in plan.phases if phase.path == "dsd.seed3"]
    assert [(phase.seed_index, phase.rng) for phase in seeded] == [(3, "distinct")] * 2
    assert seeded[0].parent == "p0"


def test_diminishing_stops_by_cycles() -> None:
    plan = dsd_lang.compile("""
dense 50ep lr=8e-4
repeat 8 as i until gain(val.err) < 0.1 { sparse 0.5/2^i 50ep lr=prev/2; dense 50ep lr=prev/2 }
""")
    assert len(plan.phases) == 17
    assert [phase.target.pruned for phase in plan.phases if phase.target][:3] == ["0.5", "0.25", "0.125"]
    assert plan.phases[2].lr.start == "2e-4"
    first, second = plan.phases[1].cycles[0], plan.phases[2].cycles[0]
    assert (first.index, first.is_last_of_cycle, second.index, second.is_last_of_cycle) == (0, False, 0, True)
    assert (first.loop, plan.phases[16].cycles[0].index) == (second.loop, 7)
    assert plan.phases[1].variables == {"i": "0"}
    call = first.until.args[0]
    assert (first.until.op, call.name, call.args[0].name) == ("<", "gain", "val.err")


def test_lottery_tickets_fork_inside_a_loop() -> None:
    plan = dsd_lang.compile("""
set opt=adam lr=1.2e-3 batch=60
full: dense 50000it
repeat 3 as n {
  fork seeds=2 {
    reinit:      sparse [output: 10%, fc: 20%] of=remaining from=random 50000it
    random_mask: sparse [output: 10%, fc: 20%] of=remaining by=random from=@full.start 50000it
  }
  ticket: sparse [output: 10%, fc: 20%] of=remaining from=@full.start 50000it
}
""")
    assert plan.branches[:4] == ("reinit.seed0", "reinit.seed1", "random_mask.seed0", "random_mask.seed1")
    assert "reinit#2.seed0" in plan.branches
    assert "random_mask#3.seed1" in plan.branches
    tickets = [phase for phase in plan.phases if phase.label == "ticket"]
    assert [ticket.path for ticket in tickets] == ["", "", ""]
    assert tickets[1].parent == tickets[0].id
    assert tickets[0].from_.reference is not None
    assert (tickets[0].from_.reference.phase, tickets[0].from_.reference.moment) == ("p0", "start")
    assert tickets[0].target is not None
    assert tickets[0].target.items[0].target.kind == "remaining"
    assert tickets[0].layers == ("output", "fc")
    assert [(point.phase, point.moment) for point in plan.checkpoints] == [("p0", "start")]
    assert plan.phases[0].batch == 60
    assert plan.phases[0].lr.start == "0.0012"


def test_rewinding_sweeps_and_offsets() -> None:
    plan = dsd_lang.compile("""
set decay=step(50%, 75%, by=0.1)
full: dense 160ep lr=0.1
sweep s in 20%, 49% {
  fork {
    late:     sparse s scope=global from=@full.500it clock=@full.500it 160ep
    lr:       sparse s scope=global lr=0.1 160ep
    finetune: sparse s scope=global lr=1e-3 decay=constant 160ep
  }
}
""")
    assert plan.branches == ("s=20%.late", "s=20%.lr", "s=20%.finetune", "s=49%.late", "s=49%.lr", "s=49%.finetune")
    late = plan.phases[1]
    assert late.variables == {"s": "0.2"}
    assert late.clock.reference is not None
    assert late.clock.reference.offset is not None
    assert (late.clock.reference.moment, str(late.clock.reference.offset.length)) == ("at", "500it")
    assert late.lr.decay.kind == "step"
    assert plan.phases[3].lr.decay.kind == "constant"
    assert {phase.parent for phase in plan.phases[1:]} == {"p0"}


def test_sparse_double_descent_distils_from_a_branch_before() -> None:
    plan = dsd_lang.compile("""
set lr=0.1 decay=step(50%, 75%, by=0.1) noise=symmetric(20%)
fork {
  teacher: { dense 160ep; sparse 90% scope=global 160ep lr=0.1 }
  kd: {
    dense 160ep distill=@teacher.end(alpha=0.8, T=10)
    repeat 34 until drop(val.acc) > 2% and falling(entropy.relu, rounds=2) {
      sparse 20% of=remaining scope=global 160ep lr=0.1 distill=@teacher.end } }
}
""")
    assert len(plan.phases) == 2 + 35
    distill = plan.phases[2].distill
    assert distill is not None
    assert (distill.teacher.phase, distill.teacher.moment, distill.alpha, distill.temperature) == (
        "p1",
        "end",
        "0.8",
        "10",
    )
    until = plan.phases[3].cycles[0].until
    assert until.kind == "and"
    assert [part.kind for part in until.args] == ["compare", "call"]
    assert until.args[0].args[1].percent
    assert until.args[1].options == {"rounds": "2"}
    assert plan.settings["noise"] == {"name": "symmetric", "arguments": {"0": "0.2"}}


def test_references_in_a_seeded_fork_stay_with_their_seed() -> None:
    plan = dsd_lang.compile("""
fork seeds=2 { teacher: dense 5ep; student: dense 5ep distill=@teacher }
dense 1ep from=@teacher.seed1.end
""")
    teachers = [phase.distill.teacher.phase for phase in plan.phases if phase.distill]
    assert teachers == ["p0", "p1"]
    reference = plan.phases[-1].from_.reference
    assert reference is not None
    assert reference.phase == "p1"


def test_paths_reach_into_branches_and_loops_name_the_latest() -> None:
    plan = dsd_lang.compile("""
fork { dsd: { S1: sparse 50% 5ep; dense } }
repeat 3 { round: dense 5ep }
dense from=@dsd.S1.end 5ep; dense from=@round 5ep
""")
    found = [phase.from_.reference.phase for phase in plan.phases if phase.from_.reference]
    assert found == ["p0", "p4"]


def test_acdc_keeps_one_global_clock() -> None:
    plan = dsd_lang.compile("""
set clock=global lr=0.256 decay=cosine
dense 10ep; repeat 6 { sparse 90% scope=global 5ep; dense 5ep lr=prev state=reset }; sparse 90% scope=global 15ep
""")
    assert {phase.clock.kind for phase in plan.phases} == {"global"}
    assert set(rates(plan)) == {"0.256"}
    assert [phase.state for phase in plan.phases[:3]] == ["zero", "zero", "reset"]


def test_lengths_do_not_leak_out_of_a_block() -> None:
    plan = dsd_lang.compile("dense 10ep; repeat 2 { sparse 50%; dense 3ep }; dense")
    assert [phase.duration.value for phase in plan.phases] == ["10", "10", "3", "3", "3", "10"]


def test_nested_until_loops_give_several_cycles() -> None:
    plan = dsd_lang.compile(
        "dense 1ep\nrepeat 2 until val.err < 1 { repeat 2 until gain(val.err) < 1 { sparse 50%; dense } }"
    )
    cycles = [[(cycle.index, cycle.is_last_of_cycle) for cycle in phase.cycles] for phase in plan.phases[1:5]]
    assert cycles == [
        [(0, False), (0, False)], [(0, False), (0, True)], [(0, False), (1, False)], [(0, True), (1, True)],
    ]  # fmt: skip
    loops = [phase.cycles[1].loop for phase in plan.phases[1:]]
    assert len(set(loops)) == 2


def test_graph() -> None:
    plan = dsd_lang.compile('fork { a: dense 5ep; b: { sparse 50% layers="l1.*" 5ep; dense distill=@a } }\ndense 1ep')
    graph = PhaseGraph(plan)
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.edges["p0", "p2"]["kind"] == "reference"
    assert graph.edges["p1", "p2"]["kind"] == "parent"
    assert graph.nodes["p1"]["pruned"] == "50%"
    assert "p0 -.->|distill| p2" in graph.to_mermaid()
    assert "p1 -> p2;" in graph.to_dot()
    assert graph.to_svg().count("<rect") == 4
    assert set(graph.copy().nodes) == set(graph.nodes)


def test_svg_is_xml() -> None:
    from xml.etree import ElementTree

    ElementTree.fromstring(PhaseGraph(dsd_lang.compile("dense 5ep; sparse 0->90%; sparse 2:4; dense")).to_svg())
