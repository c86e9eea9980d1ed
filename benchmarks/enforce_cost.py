"""What `enforce=` and `by=movement` cost a training step: ratios to a dense step, beside the published way.

    python benchmarks/enforce_cost.py [--models mlp lstm resnet18] [--rounds 15] [--threads 2] [--clock wall|cpu]

Timed as in `step_cost.py`: each way has its own copy of the model, a round times each way once in a rotating order, and
the figure is the median over the rounds of (way's step / dense step of the same round), 50% pruned, SGD with momentum.
`as published` is the autograd function of the authors of SR-STE inside a parametrization of each weight, with masks
computed in the forward pass, for `2:4` (by sorting, as there) and for 50% of each weight (by `torch.topk`).
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from step_cost import CASES, CLOCKS, Case, Step, backward, dense_step, make_optimizer, plain_loop, prunable
from torch import Tensor, nn
from torch.nn.utils import parametrize

LENGTH = 1_000_000
"""Updates of a phase: it outlasts the benchmark."""


def session_step(case: Case, phase: str) -> Step:
    """A user's loop with a session in a phase."""
    import dsd_lang
    import dsd_runtime

    model = copy.deepcopy(case.model)
    optimizer = make_optimizer("sgd", model)
    inputs = [weight.shape[1] for weight in prunable(model).values()]
    layers = "all" if ":" not in phase or all(count % 4 == 0 for count in inputs) else "all except=first_conv"
    plan = dsd_lang.compile(f"sparse {phase} layers={layers} {LENGTH}it lr=1e-3")
    session = dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=LENGTH)

    def step() -> None:
        session.begin_step()
        backward(model, optimizer, case)
        session.step()

    return step


class _Published(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, weight: Tensor, mask_of: Callable[[Tensor], Tensor], decay: float) -> Tensor:
        mask = mask_of(weight)
        context.save_for_backward(weight)
        context.mask, context.decay = mask, decay
        return weight * mask

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = context.saved_tensors
        return gradients[0] + context.decay * (1 - context.mask) * weight, None, None


def two_of_four(weight: Tensor) -> Tensor:
    """The two largest of every four inputs."""
    groups = weight.detach().abs().movedim(1, -1).reshape(-1, 4)
    mask = torch.ones_like(groups).scatter_(1, groups.argsort(1)[:, :2], 0)
    return mask.view(weight.movedim(1, -1).shape).movedim(-1, 1)


def half(weight: Tensor) -> Tensor:
    """The largest half."""
    scores = weight.detach().abs().flatten()
    mask = torch.zeros_like(scores)
    mask[scores.topk(len(scores) // 2).indices] = 1
    return mask.view(weight.shape)


class _Masked(nn.Module):
    def __init__(self, mask_of: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mask_of = mask_of

    def forward(self, weight: Tensor) -> Tensor:
        masked: Tensor = _Published.apply(weight, self.mask_of, 2e-4)  # type: ignore[no-untyped-call]
        return masked


def published_step(case: Case, mask_of: Callable[[Tensor], Tensor]) -> Step:
    """Every weight with a whole number of groups of four inputs is parametrized."""
    model = copy.deepcopy(case.model)
    for name, weight in prunable(model).items():
        owner, _, own_name = name.rpartition(".")
        if weight.shape[1] % 4 == 0:
            parametrize.register_parametrization(model.get_submodule(owner), own_name, _Masked(mask_of))
    return plain_loop(model, case, "sgd")


WAYS: Mapping[str, Callable[[Case], Step]] = {
    "dense": lambda case: dense_step(case, "sgd", {}),
    "sparse 50%": partial(session_step, phase="50%"),
    "sparse 50% enforce=ste": partial(session_step, phase="50% enforce=ste"),
    "as published, 50%": partial(published_step, mask_of=half),
    "sparse 2:4 enforce=srste": partial(session_step, phase="2:4 enforce=srste"),
    "as published, 2:4": partial(published_step, mask_of=two_of_four),
    "sparse 50% enforce=topkast(backward=25%)": partial(session_step, phase="50% enforce=topkast(backward=25%)"),
    "sparse 0->50% by=movement": partial(session_step, phase="0->50% by=movement"),
}


def measure(case: Case, rounds: int, clock: Callable[[], float]) -> dict[str, tuple[float, float]]:
    """For each way its median ratio to the dense update and its median milliseconds."""
    steps = {name: make(case) for name, make in WAYS.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(3):
        for step in steps.values():
            step()
    order = list(steps)
    for _ in range(rounds):
        order = order[1:] + order[:1]
        for name in order:
            start = clock()
            for _ in range(case.steps):
                steps[name]()
            times[name].append((clock() - start) / case.steps * 1e3)
    return {
        name: (
            statistics.median(own / dense for own, dense in zip(found, times["dense"], strict=True)),
            statistics.median(found),
        )
        for name, found in times.items()
    }


def main() -> int:
    """Runs the comparison and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: for busy machines, with 1 thread")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results = {name: measure(CASES[name](), arguments.rounds, CLOCKS[arguments.clock]) for name in arguments.models}
    print(
        f"median ratio to the dense step (median step), SGD with momentum, 50% pruned, {arguments.threads} threads, "
        f"{arguments.clock} clock, {arguments.rounds} interleaved rounds, torch {torch.__version__}\n"
    )
    print(f"| way | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    for name in WAYS:
        cells = [f"{found[name][0]:.3f} ({found[name][1]:.1f} ms)" for found in results.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
