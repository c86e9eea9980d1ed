"""Whatever stands in a file, the analysis returns diagnostics or a plan that keeps its invariants, and never raises."""

from __future__ import annotations

import random

import networkx as nx
import pytest

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.plan import Plan
from dsd_lang.views.graph import PhaseGraph

VALUES = [
    "50ep", "500it", "0ep", "50%", "0.3", "12", "s", "i", "prev/10", "last", "base*2", "0->90%", "2:4", "held",
    "[fc: 20%, conv: 2:4]", "cosine", "step(33%, 5ep, by=0.5)", "exp(0.9)", "magnitude", "random", "@a", "@a.start",
    "@b.end", "@init", "@a.3it", '"file"', "none", "on", "sgd(momentum=0.9)", "1e-4", "2^i", "s*2", "global", "-1",
]  # fmt: skip
NAMES = [
    "lr", "decay", "warmup", "layers", "except", "by", "scope", "alloc", "unit", "restore", "from", "clock", "state",
    "opt", "wd", "clip", "batch", "of", "ramp", "every", "distill", "calibrate", "min", "others", "floor", "lrr",
]  # fmt: skip
FITTING = [
    "lr=prev/2", "lr=last", "lr=base*2", "lr=1e-3", "decay=cosine", "decay=step(33%, 5ep, by=0.5)", "decay=exp(0.9)",
    "wd=0", "state=reset", "opt=adam", "clip=5", "batch=8", "from=@init", "distill=@a.best", "from=@b.start",
    "clock=global", "warmup=1it",
]  # fmt: skip
FITTING_SPARSE = ["layers=fc,conv", "except=output", "by=random", "scope=global", "min=0", "others=hold"]
CONDITIONS = ["val.err < 10%", "plateau(val.loss, patience=3)", "gain(val.err) < 0.1 and not val.x > 1"]


class Writer:
    """Random programs, mostly well formed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, items: list[str]) -> str:
        return self.random.choice(items)

    def phase(self) -> str:
        label = self.pick(["", "", "", "a: ", "b: ", "c: "])
        words = (
            ["dense"]
            if self.random.random() < 0.5
            else ["sparse", self.pick(["50%", "25%", "0->80% every=2it", "20% of=remaining"])]
        )
        words.append(self.pick(["5ep", "7it", "", "", "9ep"]))
        for _ in range(self.random.randrange(3)):
            roll = self.random.random()
            fitting = self.pick(FITTING + (FITTING_SPARSE if words[0] == "sparse" else ["restore=saved"]))
            words.append(fitting if roll < 0.95 else f"{self.pick(NAMES)}={self.pick(VALUES)}")
        if self.random.random() < 0.1:
            words.append("until " + self.pick(CONDITIONS))
        return label + " ".join(words)

    def body(self, depth: int) -> str:
        return "{ " + "; ".join(self.statement(depth + 1) for _ in range(self.random.randrange(1, 4))) + " }"

    def statement(self, depth: int = 0) -> str:
        roll = self.random.random()
        if depth > 3 or roll < 0.5:
            return self.phase()
        if roll < 0.6:
            return self.pick(
                ["repeat", "repeat 2", "repeat 2 sparse 25% then dense lr=prev", "repeat 2 until val.err < 1"]
            )
        if roll < 0.7:
            head = f"repeat {self.pick(['2', '3', 'i', '2^i'])} as i"
            return f"{head} {self.pick(['', 'until val.err < 1 '])}{self.body(depth)}"
        if roll < 0.76:
            return f"for s in 10%, 0.2, {self.pick(['3%', '2*10%'])} {self.body(depth)}"
        if roll < 0.82:
            return f"sweep s in 10%, 50% {self.body(depth)}"
        if roll < 0.92:
            return f"fork {self.pick(['', 'seeds=2 '])}{{ a: {self.body(depth)}; b: {self.body(depth)} }}"
        if roll < 0.96:
            return self.pick(
                [
                    "compare a vs b on=test.err",
                    "expect a.test.err < b.test.err - 0.1",
                    "expect val.err < 1",
                    "expect p(a vs b on=val.err) < 0.05",
                ]
            )
        return f"set {self.pick(NAMES)}={self.pick(VALUES)}"

    def program(self) -> str:
        return "dense 3ep lr=0.1\n" + "\n".join(self.statement() for _ in range(self.random.randrange(1, 6)))


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_random_programs(start: int) -> None:
    num_plans = 0
    for seed in range(start, start + 100):
        text = Writer(seed).program()
        analysis = analyse(text)
        if analysis.resolved is None:
            assert analysis.errors, text
            continue
        num_plans += 1
        plan = dsd_lang.compile(text)
        assert Plan.from_json(plan.to_json(indent=None)) == plan
        assert nx.is_directed_acyclic_graph(PhaseGraph(plan))
        position = {phase.id: index for index, phase in enumerate(plan.phases)}
        assert all(position.get(phase.parent or "", -1) < position[phase.id] for phase in plan.phases)
        assert all(plan.branch(name).is_linear for name in plan.branches)
        for diagnostic in analysis.diagnostics:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
    assert num_plans > 5


@pytest.mark.parametrize("seed", range(20))
def test_damaged_programs(seed: int) -> None:
    writer = Writer(seed)
    text = writer.program()
    for _ in range(20):
        at = writer.random.randrange(len(text) + 1)
        piece = writer.pick(["", "{", "}", "(", ")", "%", "@", ":", "->", "=", "\n", "dense", "[", '"', "é", "1e999"])
        damaged = text[:at] + piece + text[at + writer.random.randrange(4) :]
        analyse(damaged)
