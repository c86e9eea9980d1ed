"""What is accepted is felt: an argument written on a phase changes the training, or a diagnostic says that it does not.

Every argument that a session executes is put on every kind of phase. With it and without it the same network is trained
on the same data; where the final weights, masks and optimizer states are the same to the last bit and nothing is
reported, the argument was ignored in silence.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from engine_loops import network, one_update, samples
from torch import optim

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_runtime import attach
from dsd_runtime.engine.layers import inventory

pytestmark = pytest.mark.slow  # two trainings for each of some 180 pairs

STEPS = 4
LINE = "zero: dense 6it lr=0.05; {}; dense 5it"
DENSE = {
    "first": "{} ; dense 4it",
    "after dense": "dense 6it lr=0.05; {}",
    "after sparse": "dense 6it lr=0.05; sparse 50% 4it; {}",
    "of no length": "dense 6it lr=0.05; sparse 50% 4it; {}; dense 4it",
}
LENGTHS = {
    "first": "dense 6it lr=0.05",
    "after dense": "dense 5it",
    "after sparse": "dense 5it",
    "of no length": "dense 0it",
}
SPARSE = {
    "share": "sparse 50% 5it",
    "ramp": "sparse 10%->70% every=2it 7it",
    "pattern": "sparse 1:2 5it",
    "remaining": "sparse 30% of=remaining 5it",
    "list": 'sparse ["0": 40%, fc: 20%] 5it',
    "list of patterns": 'sparse ["0": 1:2, fc: 1:4] 5it',
    "held": "sparse 40% 3it; sparse held 5it",
    "second": "sparse 40% layers=output 3it; sparse 30% layers=fc except=output 5it",
}
ON_BOTH = (
    "decay=cosine", "decay=exp(0.5)", "decay=step(2it, by=0.5)", "decay=cosine floor=0.01", "warmup=3it",
    "state=reset", "wd=0.1", "l1=0.01", "clip=0.1", "clip=value(0.01)", "opt=sgd(momentum=0.5)", "from=random",
    "from=@init", "until train.loss < 1e9",
)  # fmt: skip
ON_SPARSE = (
    "by=random", "by=magnitude(order=largest)", "scope=global", "min=200", "others=hold", "layers=output",
    "except=output", "ramp=linear", "every=3it",
)  # fmt: skip
ON_DENSE = ("restore=saved", "restore=init", "restore=random")


@cache
def trained(text: str) -> tuple[torch.Tensor, ...]:
    """Everything that a training leaves, as tensors."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    session = attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=STEPS)
    while not session.done:
        one_update(session, model, samples(16, seed=session.total_updates + 1))
        session.report({"train.loss": 1.0})
    states = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    weights = (parameter.detach().clone() for parameter in model.parameters())
    return (*weights, *states, *session.masks.values(), torch.tensor(session.total_updates))


def is_felt(without: str, with_it: str) -> bool:
    before, after = trained(without), trained(with_it)
    return len(before) != len(after) or not all(map(torch.equal, before, after))


def cases() -> list[tuple[str, str]]:
    """(without, with) for every argument on every kind of phase."""
    found = []
    for phase in SPARSE.values():
        for argument in (*ON_BOTH, *ON_SPARSE):
            name = argument.partition("=")[0]
            if f"{name}=" not in phase.rpartition(";")[2]:
                found.append((LINE.format(phase), LINE.format(f"{phase} {argument}")))
    for kind, line in DENSE.items():
        for argument in (*ON_BOTH, *ON_DENSE):
            phase = LENGTHS[kind]
            found.append((line.format(phase), line.format(f"{phase} {argument}")))
    return found


@pytest.mark.parametrize(("without", "with_it"), cases())
def test_what_is_written_is_felt_or_reported(without: str, with_it: str) -> None:
    layers = inventory(network())
    before, told = ({item.message for item in analyse(text, layers=layers).diagnostics} for text in (without, with_it))
    if told - before:
        return
    assert is_felt(without, with_it), f"ignored in silence: {with_it}"
