"""What an update costs in `dsd-run`'s own loop, beside the shortest loop that trains the same network.

    python benchmarks/loop_cost.py [--models lenet_300_100 conv2] [--opt adam] [--rounds 60] [--updates 20]

The bare loop is what one writes without this project: zero_grad, forward, loss, backward, step, with torch's default
optimizer and no masks, on the same batches. Each round trains a few updates in every loop, in a rotating order, on one
thread; a figure is the median over the rounds of (processor time of a loop / that of the bare loop in the same round).
Evaluations are not in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

import dsd_lang
from dsd_runtime import attach
from dsd_runtime.data.batch import Batch
from dsd_runtime.data.registry import open_data
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.overrides import build_optimizer
from dsd_runtime.models.registry import build_model
from dsd_runtime.tracking.tracker import NodeInTraining, NodeListener, Sink
from dsd_runtime.training.loop import PhaseRun, Stopped, TrainingBatches, train_phase
from dsd_runtime.training.precision import Precision
from dsd_runtime.training.tasks.choose import task_for

CPU = torch.device("cpu")
RATE = "1e-9"
"""So low that nothing is learned: gradients of a network that has learned its few batches become denormal numbers, with
which a processor computes many times slower."""

SINKS = 7
"""As many as a run of `dsd-run` has."""

Loop = Callable[[int], None]


class SameBatches:
    """The batches of one pass, drawn before the timing, over and over."""

    def __init__(self, data: DataSource, batch: int) -> None:
        self.traits, self.sizes, self.fingerprint = data.traits, {"train": data.sizes["train"]}, data.fingerprint
        self._batches = list(data.train_batches(batch_size=batch, epoch=0, key=0))

    def train_batches(self, *, skip: int = 0, **settings: object) -> Iterator[Batch]:
        """Endless: a pass never ends, so that no evaluation is timed."""
        while True:
            yield from self._batches


def bare_loop(model_name: str, data: SameBatches, opt: str) -> Loop:
    """The shortest loop."""
    model = build_model(model_name, data.traits)
    choice = dsd_lang.compile(f"dense 1it lr=1 opt={opt}").phases[0].opt
    assert choice is not None
    optimizer = build_optimizer(model.parameters(), choice, rate=float(RATE))
    batches = data.train_batches()

    def run(updates: int) -> None:
        model.train()
        for _ in range(updates):
            batch = next(batches)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(batch.images), batch.labels)
            loss.backward()
            optimizer.step()

    return run


def our_loop(model_name: str, data: SameBatches, phase: str, opt: str) -> Loop:
    """The loop of `dsd-run` in a phase that outlasts the benchmark."""
    model = build_model(model_name, data.traits)
    plan = dsd_lang.compile(f"{phase} 10000000it lr={RATE} opt={opt}")
    choice = plan.phases[0].opt
    assert choice is not None
    optimizer = build_optimizer(model.parameters(), choice, rate=float(RATE))
    session = attach(plan, model, optimizer, steps_per_epoch=1_000_000, quick_step=True)
    node = NodeInTraining(plan.phases[0], "key", session)
    run_state = PhaseRun(
        session,
        model,
        model,
        task_for(data.traits),
        TrainingBatches(data, 1, key=0),  # type: ignore[arg-type]
        Precision("fp32", CPU),
        NodeListener(node, tuple(Sink() for _ in range(SINKS))),
    )

    def run(updates: int) -> None:
        last = session.total_updates + updates
        run_state.should_stop = lambda: session.total_updates >= last
        try:
            train_phase(run_state)
        except Stopped:
            return

    return run


def measure(loops: dict[str, Loop], rounds: int, updates: int) -> dict[str, tuple[float, float]]:
    """For each loop the median ratio to the first one, and the median milliseconds of an update."""
    times: dict[str, list[float]] = {name: [] for name in loops}
    order = list(loops)
    for number in range(rounds + 3):
        order = order[1:] + order[:1]
        for name in order:
            started = time.process_time()
            loops[name](updates)
            if number >= 3:
                times[name].append((time.process_time() - started) / updates * 1e3)
    base = times[next(iter(loops))]
    return {
        name: (statistics.median(own / bare for own, bare in zip(found, base, strict=True)), statistics.median(found))
        for name, found in times.items()
    }


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["lenet_300_100", "conv2"])
    parser.add_argument("--data", default="digits:size=28")
    parser.add_argument("--opt", default="adam")
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--updates", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{options.opt}, batch {options.batch}, {options.data}, 1 thread, processor time, torch {torch.__version__}\n"
    )
    print("| model | bare loop | dsd-run, dense | dsd-run, sparse 50% |\n|---|---|---|---|")
    for name in options.models:
        data = SameBatches(open_data(options.data), options.batch)
        loops = {
            "bare": bare_loop(name, data, options.opt),
            "dense": our_loop(name, data, "dense", options.opt),
            "sparse": our_loop(name, data, "sparse 50%", options.opt),
        }
        found = measure(loops, options.rounds, options.updates if "lenet" in name else max(1, options.updates // 10))
        cells = [
            f"{found['bare'][1]:.2f} ms",
            *(f"{ratio:.3f} ({ms:.2f} ms)" for ratio, ms in list(found.values())[1:]),
        ]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
