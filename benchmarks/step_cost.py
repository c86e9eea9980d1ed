"""What masks cost a training step: ratios to the same loop's dense step, side by side with other ways to do it.

    python benchmarks/step_cost.py [--models mlp lstm resnet18] [--sparsity 0.5] [--optimizer sgd|adamw]
                                   [--rounds 15] [--threads 2] [--clock wall|cpu]

Every way has its own copy of the model and the optimizer. A round times each way once, in a rotating order; the figure
is the median over the rounds of (way's step / dense step of the same round). Rows:

* `session`: `dsd_runtime.attach` and `session.step()`, everything a user's loop pays;
* `session, quick_step`: the same with `attach(..., quick_step=True)`, as in `dsd-run`;
* `session, fused`: `session` with the user's optimizer made by `fused=True`, whose bits are not the default's;
* `masks`: gradients cleared at every update, which with SGD or Adam keeps weights and state at zero;
* `session, one loop`, `session, quick_step, one loop`, `masks, one loop`: the same in one loop that masks at every
  other step, so that both kinds of step use the same memory (copies of a model differ by a few per cent in how their
  memory lies); the other steps are plain, without a session; median of pairs of neighbouring steps;
* `dense phase, one loop`, `dense phase, quick_step, one loop`: the same with a session in a phase without masks;
* `masks, in full`: gradients, weights and state cleared, as for an optimizer nothing is known about;
* `foreach multiply`: gradients, weights and momentum by one `torch._foreach_mul_` each with float masks;
* `naive multiply`: the same, tensor by tensor;
* `torch.nn.utils.prune`, `torch.ao.pruning`: masked forward passes (they leave weights and momentum off the mask).
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from dsd_runtime.masks import MaskStore, Pruned, choose_masks, preserves_zero

Step = Callable[[], None]
OptimizerName = Literal["sgd", "adamw"]


@dataclass(frozen=True, slots=True)
class Case:
    """A model, one batch of its data, and the number of updates per timing."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    steps: int


class LastHidden(nn.Module):
    """A 2 x 512 LSTM and a classifier on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(512, 512, num_layers=2)
        self.head = nn.Linear(512, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        """[T, N, 512] -> [N, 10]."""
        logits: Tensor = self.head(self.lstm(inputs)[0][-1])
        return logits


def mlp() -> Case:
    """784-1024-1024-10 at batch 128."""
    layers = [nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return Case(nn.Sequential(*layers), torch.randn(128, 784), torch.randint(0, 10, (128,)), steps=20)


def lstm() -> Case:
    """2 x 512, 32 steps at batch 32."""
    return Case(LastHidden(), torch.randn(32, 32, 512), torch.randint(0, 10, (32,)), steps=2)


def resnet18() -> Case:
    """torchvision's ResNet-18 on 64 x 64 images at batch 32."""
    import torchvision

    model = torchvision.models.resnet18(num_classes=10)
    return Case(model, torch.randn(32, 3, 64, 64), torch.randint(0, 10, (32,)), steps=1)


CASES: Mapping[str, Callable[[], Case]] = {"mlp": mlp, "lstm": lstm, "resnet18": resnet18}


CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every weight of two or more dimensions."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.dim() > 1}


def make_optimizer(name: OptimizerName, model: nn.Module, *, fused: bool | None = None) -> torch.optim.Optimizer:
    """The optimizer of every method: torch's own, default implementation unless ``fused``."""
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=fused)
    return torch.optim.AdamW(model.parameters(), lr=1e-4, fused=fused)


def backward(model: nn.Module, optimizer: torch.optim.Optimizer, case: Case) -> None:
    """Everything in an update before the optimizer step."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(case.inputs), case.targets)
    loss.backward()  # type: ignore[no-untyped-call]


def dense_step(case: Case, name: OptimizerName, masks: Mapping[str, Tensor]) -> Step:
    """The plain loop."""
    model = copy.deepcopy(case.model)
    optimizer = make_optimizer(name, model)

    def step() -> None:
        backward(model, optimizer, case)
        optimizer.step()

    return step


def masked_step(case: Case, name: OptimizerName, masks: Mapping[str, Tensor], *, in_full: bool) -> Step:
    """The plain loop with a mask store."""
    model = copy.deepcopy(case.model)
    return _masked_step(model, make_optimizer(name, model), case, masks, in_full=in_full)


def _masked_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, case: Case, masks: Mapping[str, Tensor], *, in_full: bool
) -> Step:
    store = MaskStore(model.named_parameters())
    for parameter, mask in masks.items():
        store.set(parameter, mask)
    store.apply_to_weights()
    in_full = in_full or not preserves_zero(optimizer)

    def step() -> None:
        backward(model, optimizer, case)
        store.apply_to_gradients()
        optimizer.step()
        if in_full:
            store.apply_to_weights()
            store.apply_to_optimizer_state(optimizer)

    return step


def session_step(
    case: Case,
    name: OptimizerName,
    masks: Mapping[str, Tensor],
    *,
    quick_step: bool = False,
    fused: bool | None = None,
) -> Step:
    """A user's loop with a session, in a sparse phase that outlasts the benchmark."""
    model = copy.deepcopy(case.model)
    return _session_step(model, make_optimizer(name, model, fused=fused), case, masks, quick_step=quick_step)


def _session_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    case: Case,
    masks: Mapping[str, Tensor],
    *,
    quick_step: bool = False,
    is_dense: bool = False,
) -> Step:
    import dsd_lang
    import dsd_runtime

    share = 1 - sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
    mode = "dense" if is_dense else f"sparse {share:.4f} layers=all"
    plan = dsd_lang.compile(f"{mode} 1000000it lr=1e-3")
    session = dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=1_000_000, quick_step=quick_step)

    def step() -> None:
        session.begin_step()
        backward(model, optimizer, case)
        session.step()

    return step


def one_loop(
    case: Case,
    name: OptimizerName,
    make_step: Callable[[nn.Module, torch.optim.Optimizer], Step],
    pairs: int,
    clock: Callable[[], float],
) -> tuple[float, float]:
    """The median ratio of a masked step to the plain step before it, and the masked steps' median milliseconds."""
    model = copy.deepcopy(case.model)
    optimizer = make_optimizer(name, model)
    masked_step = make_step(model, optimizer)

    def plain_step() -> None:
        backward(model, optimizer, case)
        optimizer.step()

    def milliseconds(step: Step) -> float:
        start = clock()
        step()
        return (clock() - start) * 1e3

    timed = [(milliseconds(plain_step), milliseconds(masked_step)) for _ in range(pairs + 3)][3:]
    return statistics.median(masked / plain for plain, masked in timed), statistics.median(ms for _, ms in timed)


def multiply_step(case: Case, name: OptimizerName, masks: Mapping[str, Tensor], *, foreach: bool) -> Step:
    """Float masks multiplied into gradients before the update and into weights and state after it."""
    model = copy.deepcopy(case.model)
    optimizer = make_optimizer(name, model)
    parameters = [model.get_parameter(parameter) for parameter in masks]
    factors = [mask.float() for mask in masks.values()]

    def multiply(tensors: list[Tensor], by: list[Tensor]) -> None:
        if foreach:
            torch._foreach_mul_(tensors, by)
        else:
            for tensor, factor in zip(tensors, by, strict=True):
                tensor.mul_(factor)

    @torch.no_grad()
    def after() -> None:
        multiply([*parameters], factors)
        for index in range(2):
            buffers = [same_shape(optimizer, parameter) for parameter in parameters]
            if all(len(found) > index for found in buffers):
                multiply([found[index] for found in buffers], factors)

    def step() -> None:
        backward(model, optimizer, case)
        multiply([parameter.grad for parameter in parameters if parameter.grad is not None], factors)
        optimizer.step()
        after()

    return step


def same_shape(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> list[Tensor]:
    """The state buffers of a parameter's shape."""
    return [v for v in optimizer.state[parameter].values() if isinstance(v, Tensor) and v.shape == parameter.shape]


def torch_prune_step(case: Case, name: OptimizerName, masks: Mapping[str, Tensor]) -> Step:
    """`torch.nn.utils.prune` with the same masks."""
    model = copy.deepcopy(case.model)
    for parameter, mask in masks.items():
        owner, _, own_name = parameter.rpartition(".")
        prune.custom_from_mask(model.get_submodule(owner), own_name, mask)  # type: ignore[no-untyped-call]
    return plain_loop(model, case, name)


def torch_ao_step(case: Case, name: OptimizerName, masks: Mapping[str, Tensor]) -> Step:
    """`torch.ao.pruning`'s parametrization with the same masks."""
    from torch.ao.pruning.sparsifier.utils import FakeSparsity

    model = copy.deepcopy(case.model)
    for parameter, mask in masks.items():
        owner, _, own_name = parameter.rpartition(".")
        fake = FakeSparsity(mask.float())  # type: ignore[no-untyped-call]
        parametrize.register_parametrization(model.get_submodule(owner), own_name, fake)
    return plain_loop(model, case, name)


def plain_loop(model: nn.Module, case: Case, name: OptimizerName) -> Step:
    """An update of a model that masks itself."""
    optimizer = make_optimizer(name, model)

    def step() -> None:
        backward(model, optimizer, case)
        optimizer.step()

    return step


WAYS: Mapping[str, Callable[[Case, OptimizerName, Mapping[str, Tensor]], Step]] = {
    "dense": dense_step,
    "session": session_step,
    "session, quick_step": partial(session_step, quick_step=True),
    "session, fused": partial(session_step, fused=True),
    "masks": lambda *arguments: masked_step(*arguments, in_full=False),
    "masks, in full": lambda *arguments: masked_step(*arguments, in_full=True),
    "foreach multiply": lambda *arguments: multiply_step(*arguments, foreach=True),
    "naive multiply": lambda *arguments: multiply_step(*arguments, foreach=False),
    "torch.nn.utils.prune": torch_prune_step,
    "torch.ao.pruning": torch_ao_step,
}


ONE_LOOP: Mapping[str, Callable[..., Step]] = {
    "session, one loop": _session_step,
    "session, quick_step, one loop": partial(_session_step, quick_step=True),
    "dense phase, one loop": partial(_session_step, is_dense=True),
    "dense phase, quick_step, one loop": partial(_session_step, is_dense=True, quick_step=True),
    "masks, one loop": partial(_masked_step, in_full=False),
}


def measure(
    case: Case,
    name: OptimizerName,
    sparsity: Fraction,
    rounds: int,
    clock: Callable[[], float],
    ways: list[str],
    rows: list[str],
) -> dict[str, tuple[float, float] | str]:
    """For each method its median ratio to the dense update and its median milliseconds, or why it does not run."""
    weights = prunable(case.model)
    masks = choose_masks(weights=weights, target=Pruned(sparsity)).masks
    results: dict[str, tuple[float, float] | str] = {}
    steps: dict[str, Step] = {}
    for way in ways:
        try:
            steps[way] = WAYS[way](case, name, masks)
            for _ in range(3):
                steps[way]()
        except (ImportError, RuntimeError, AttributeError, KeyError, TypeError) as error:
            steps.pop(way, None)
            results[way] = f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    milliseconds: dict[str, list[float]] = {way: [] for way in steps}
    order = list(steps)
    for _ in range(rounds):
        order = order[1:] + order[:1]
        for way in order:
            start = clock()
            for _ in range(case.steps):
                steps[way]()
            milliseconds[way].append((clock() - start) / case.steps * 1e3)
    for way, times in milliseconds.items():
        ratios = [own / dense for own, dense in zip(times, milliseconds["dense"], strict=True)]
        results[way] = (statistics.median(ratios), statistics.median(times))
    for row in rows:
        bound = partial(ONE_LOOP[row], case=case, masks=masks)
        results[row] = one_loop(case, name, bound, rounds * case.steps, clock)
    return results


def show(result: tuple[float, float] | str) -> str:
    """A cell of the table."""
    return result if isinstance(result, str) else f"{result[0]:.3f} ({result[1]:.1f} ms)"


def main() -> int:
    """Runs the comparison and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--sparsity", type=Fraction, default=Fraction(1, 2))
    parser.add_argument("--optimizer", choices=["sgd", "adamw"], default="sgd")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: for busy machines, with --threads 1"
    )
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, *ONE_LOOP], default=[*WAYS, *ONE_LOOP])
    arguments = parser.parse_args()
    rows = [way for way in arguments.ways if way in ONE_LOOP]
    ways = ["dense", *(way for way in arguments.ways if way in WAYS and way != "dense")]
    clock = CLOCKS[arguments.clock]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results = {
        name: measure(CASES[name](), arguments.optimizer, arguments.sparsity, arguments.rounds, clock, ways, rows)
        for name in arguments.models
    }
    print(
        f"median ratio to the dense step (median step), {arguments.optimizer}, {float(arguments.sparsity):.0%} pruned, "
        f"{arguments.threads} threads, {arguments.clock} clock, {arguments.rounds} interleaved rounds, "
        f"torch {torch.__version__}\n"
    )
    print(f"| way | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    for way in [*ways, *rows]:
        print(f"| {way} | {' | '.join(show(results[name][way]) for name in results)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
