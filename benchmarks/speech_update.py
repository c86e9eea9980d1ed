"""An update of `ds2` (or another speech model) on a CPU: its time, its FLOPs, the rate of a matrix product beside it.

    python benchmarks/speech_update.py [--model ds2] [--samples 16] [--frames 150] [--rounds 3] [--threads 1]

Each round times an update (forward, CTC, backward, SGD) and, before and after it, products 1200 x 1760 x 1760.
FLOPs are counted twice: by `torch.utils.flop_counter`, which does not see products made in place, as those of the
recurrence are, and by the counter of `dsd-run`, which sees all. Rates are of processor time, which on a busy machine is
what can be compared; the wall time is there too. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from dsd_runtime.data.batch import SpeechBatch
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.experiment.flops import update_flops
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.tasks.choose import task_for

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz' ")
ROWS, SIZE, REPEATS = 1200, 1760, 100


def seconds_of_products(left: torch.Tensor, right: torch.Tensor) -> float:
    """Processor seconds of one product."""
    started = time.process_time()
    for _ in range(REPEATS):
        torch.mm(left, right)
    return (time.process_time() - started) / REPEATS


def full_batch(samples: int, frames: int) -> SpeechBatch:
    """Utterances of the same length, so that nothing is padding."""
    lengths, symbols = torch.full((samples,), frames), torch.full((samples,), frames // 12)
    targets = torch.randint(1, len(LETTERS), (int(symbols.sum()),))
    return SpeechBatch(torch.randn(samples, frames, 161), lengths, targets, symbols, ("",) * samples)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ds2")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    traits = DataTraits("ctc", alphabet=LETTERS, num_features=161)
    model, task, batch = (
        build_model(options.model, traits),
        task_for(traits),
        full_batch(options.samples, options.frames),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def update() -> None:
        optimizer.zero_grad()
        task.loss(model, batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        found = update_flops(model, lambda: task.loss(model, batch))
    flops = sum(found.forward.values()) + sum(found.backward.values())
    left, right = torch.randn(ROWS, SIZE), torch.randn(SIZE, SIZE)
    seconds_of_products(left, right)
    rounds: list[tuple[float, float, float]] = []
    for _ in range(options.rounds):
        before = seconds_of_products(left, right)
        wall, processor = time.perf_counter(), time.process_time()
        update()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        product = 2 * ROWS * SIZE * SIZE / ((before + seconds_of_products(left, right)) / 2) / 1e9
        rounds.append((wall, processor, product))
    wall, processor, product = (statistics.median(column) for column in zip(*rounds, strict=True))
    share = statistics.median(flops / own / 1e9 / rate for _, own, rate in rounds)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    weights = sum(weight.numel() for weight in model.parameters())
    print(
        f"{options.model} ({weights / 1e6:.1f} M), {options.samples} x {options.frames} frames, {options.threads} "
        f"threads, {options.rounds} rounds, load {load:.0f}, torch {torch.__version__}\n\n| what | |\n|---|---|"
    )
    for what, value in {
        "an update, wall": f"{wall:.2f} s",
        "an update, processor time": f"{processor:.2f} s",
        "FLOPs by `torch.utils.flop_counter`": f"{counter.get_total_flops() / 1e9:.0f} GFLOP",
        "FLOPs with the products made in place": f"{flops / 1e9:.0f} GFLOP",
        "rate of the update": f"{flops / processor / 1e9:.1f} GFLOP a second of processor time",
        f"rate of a product {ROWS} x {SIZE} x {SIZE}, same minute": f"{product:.1f}",
        "share, median of the rounds": f"{share:.0%}",
    }.items():
        print(f"| {what} | {value} |")


if __name__ == "__main__":
    main()
