"""Images per second of the training loop beside a hand-written plain loop, on the same batches.

    python benchmarks/throughput.py --data cifar10:PATH [--model resnet20] [--updates 20] [--rounds 7]

Rounds are interleaved (plain, dense phase, sparse phase, plain, ...); medians are printed, and their ratios to the
plain loop. The plain loop is what one writes without this project: zero_grad, forward, loss, backward, step.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

import dsd_lang
from dsd_runtime import attach
from dsd_runtime.data.registry import open_data
from dsd_runtime.data.source import DataSource
from dsd_runtime.engine.overrides import build_optimizer
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.loop import PhaseRun, Stopped, TrainingBatches, train_phase
from dsd_runtime.training.precision import Precision, choose_device
from dsd_runtime.training.tasks.choose import task_for


class Silent:
    """A listener that does nothing."""

    def updated(self, *, update: int, loss: float, rate: float, samples: int) -> None:
        """Nothing."""

    def advanced(self, *, update: int) -> None:
        """Nothing."""

    def evaluating(self) -> None:
        """Nothing."""


def plain_loop(model_name: str, data: DataSource, batch: int, device: torch.device) -> Callable[[int], float]:
    """The hand-written loop; the returned function trains some updates and returns their seconds."""
    model = build_model(model_name, data.traits).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    epoch, batches = 0, 0

    def run(updates: int) -> float:
        nonlocal epoch, batches
        model.train()
        started = time.perf_counter()
        done = 0
        for images in data.train_batches(batch_size=batch, epoch=epoch, key=0, skip=batches):
            images = images.to(device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images.images), images.labels)
            loss.backward()
            optimizer.step()
            done += 1
            batches += 1
            if done == updates:
                break
        else:
            epoch, batches = epoch + 1, 0
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / done

    return run


def our_loop(text: str, model_name: str, data: DataSource, batch: int, device: torch.device) -> Callable[[int], float]:
    """The project's loop in the first phase of a schedule."""
    model = build_model(model_name, data.traits).to(device)
    plan = dsd_lang.compile(text)
    assert plan.phases[0].opt is not None
    optimizer = build_optimizer(model.parameters(), plan.phases[0].opt, rate=0.01, weight_decay=1e-4)
    session = attach(plan, model, optimizer, steps_per_epoch=data.updates_per_epoch(batch))
    batches, precision = TrainingBatches(data, batch, key=0), Precision("fp32", device)
    run_state = PhaseRun(session, model, model, task_for(data.traits), batches, precision, Silent())

    def run(updates: int) -> float:
        before = session.total_updates
        run_state.should_stop = lambda: session.total_updates >= before + updates
        started = time.perf_counter()
        with contextlib.suppress(Stopped):
            train_phase(run_state)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / (session.total_updates - before)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits:size=32,channels=3")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    data, device = open_data(options.data), choose_device(options.device)
    settings = "set opt=sgd(momentum=0.9, nesterov=on) wd=1e-4 lr=0.01\n"
    loops = {
        "plain loop": plain_loop(options.model, data, options.batch, device),
        "dense phase": our_loop(f"{settings}dense 10000ep", options.model, data, options.batch, device),
        "sparse 50% phase": our_loop(f"{settings}sparse 50% 10000ep", options.model, data, options.batch, device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for round_number in range(options.rounds + 1):
        for name, run in loops.items():
            elapsed = run(options.updates)
            if round_number:
                seconds[name].append(elapsed)
    threads = torch.get_num_threads()
    base = statistics.median(seconds["plain loop"])
    print(f"{options.model}, batch {options.batch}, {device}, {threads} threads, torch {torch.__version__}")
    print("| loop | images/s | throughput against the plain loop |\n|---|---|---|")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {name} | {options.batch / median:.0f} | {base / median:.3f} |")


if __name__ == "__main__":
    main()
