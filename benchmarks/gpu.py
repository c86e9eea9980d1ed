"""Everything that only a GPU can tell, in one command and under 8 minutes; writes a dated result file.

    python benchmarks/gpu.py [--minutes 8] [--precision fp32|bf16] [--out benchmarks/results/DATE-gpu.md]
    python benchmarks/gpu.py --device cpu --quick        the same code at tiny sizes, to see that it runs
    python benchmarks/gpu.py --table10 cifar10:PATH      also Table 10 of the paper in full (hours)

Samples a second of five models: a plain loop, a session dense and sparse, compiled, from CUDA graphs. The recurrent
layers beside `torch.nn`'s. Selections of 25 million and of a billion weights. Rounds of all arms of a table are
interleaved; medians, and their ratios to the first arm. The time is divided among the tables; an arm that fails is
reported with its error, and the others go on.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_arms import WORKLOADS, Run, Workload, loops, recurrent_layers, selections, sizes

import dsd_runtime
from dsd_lang.base.errors import DsdError

LEAST_ROUNDS, MOST_ROUNDS = 3, 15
MOST_REPEATS, SECONDS_OF_AN_ARM = 10, 0.2
_RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Table:
    """One table of the result file; ``unit`` is what one run of an arm processes ``amount`` of."""

    title: str
    unit: str
    amount: int
    build: Callable[[], Mapping[str, Run]]


@dataclass(frozen=True)
class Clock:
    """Times work on a device."""

    device: torch.device

    def seconds(self, run: Run, repeats: int) -> float:
        """The mean over some runs in a row, with everything that they left on the device."""
        self._wait()
        started = time.perf_counter()
        for _ in range(repeats):
            run()
        self._wait()
        return (time.perf_counter() - started) / repeats

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def medians(arms: Mapping[str, Run], clock: Clock, deadline: float) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of each arm, and the errors of those that fail; at least three rounds, until the deadline."""
    errors: dict[str, str] = {}
    repeats: dict[str, int] = {}
    for name, run in arms.items():
        try:
            clock.seconds(run, 3)  # compiles, captures, chooses kernels
            repeats[name] = max(1, min(MOST_REPEATS, int(SECONDS_OF_AN_ARM / clock.seconds(run, 1))))
        except (RuntimeError, ValueError, DsdError) as error:
            errors[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    seconds: dict[str, list[float]] = {name: [] for name in repeats}
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and time.monotonic() > deadline:
            break
        for name, count in repeats.items():
            seconds[name].append(clock.seconds(arms[name], count))
    return {name: statistics.median(values) for name, values in seconds.items()}, errors


def rows(table: Table, found: Mapping[str, float], errors: Mapping[str, str]) -> list[str]:
    """A table in Markdown: milliseconds, amount a second, time as a multiple of the first arm's."""
    base = next(iter(found.values()), float("nan"))
    lines = [f"## {table.title}", "", f"| | ms | {table.unit}/s | time against the first |", "|---|---|---|---|"]
    for name, seconds in found.items():
        rate = table.amount / seconds
        lines.append(f"| {name} | {seconds * 1e3:.4g} | {rate:.4g} | {seconds / base:.3f} |")
    lines += [f"| {name} | failed: {error} | | |" for name, error in errors.items()]
    return [*lines, ""]


def tables(device: torch.device, precision: str, *, is_quick: bool, kinds: frozenset[str]) -> list[Table]:
    """All tables; nothing is built yet."""
    made = [_training(workload.sized(is_quick=is_quick), device, precision, kinds) for workload in WORKLOADS]
    for hidden, frames, samples in sizes(is_quick=is_quick):
        made.append(
            Table(
                f"Recurrent layers, {hidden} units, {frames} frames, batch {samples}, forward and backward, fp32",
                "frames",
                frames * samples,
                lambda size=(hidden, frames, samples): recurrent_layers(*size, device),  # type: ignore[misc]
            )
        )
    for elements in (25_000, 100_000) if is_quick else (25_000_000, 1_000_000_000):
        made.append(
            Table(
                f"Selection of half of {elements:,} weights",
                "weights",
                elements,
                lambda count=elements: selections(count, device, with_peers=count < 10**9),  # type: ignore[misc]
            )
        )
    return made


def _training(workload: Workload, device: torch.device, precision: str, kinds: frozenset[str]) -> Table:
    size = f"{workload.frames} frames" if workload.frames else f"{workload.pixels} pixels" if workload.pixels else ""
    return Table(
        f"Training {', '.join(filter(None, (workload.model, f'batch {workload.samples}', size, precision)))}",
        "utterances" if workload.frames else "images",
        workload.samples,
        lambda: loops(workload, device, precision, kinds=kinds),
    )


def measured(made: Sequence[Table], device: torch.device, minutes: float) -> list[str]:
    """The lines of all tables; each may use its share of the time that is left."""
    end = time.monotonic() + 60 * minutes
    lines: list[str] = []
    for index, table in enumerate(made):
        share = max(0.0, end - time.monotonic()) / (len(made) - index)
        deadline = time.monotonic() + share
        arms = table.build()
        lines += rows(table, *medians(arms, Clock(device), deadline))
        del arms
        if device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"{index + 1} of {len(made)}: {table.title}", file=sys.stderr)
    return lines


def heading(device: torch.device, command: str) -> list[str]:
    """What was measured, and where."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    about = f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, CUDA {torch.version.cuda}"
    return [f"# GPU, {datetime.date.today().isoformat()}", "", f"    {command}", "", f"{about}.", ""]


def table_10(data: str, device: str) -> list[str]:
    """Table 10 of the paper: 16 re-trainings of ResNet-20 in both ways from one baseline."""
    results = dsd_runtime.run(
        "resnet20_significance", model="resnet20", data=data, device=device, out="runs/table10", progress="plain"
    )
    return ["## Table 10 in full", "", "```", str(results).rstrip(), "```", ""]


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--without", choices=["compile", "graph"], action="append", default=[])
    parser.add_argument("--table10", metavar="DATA", help="cifar10:PATH")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: no CUDA device found; `--device cpu --quick` runs the same code", file=sys.stderr)
        return 2
    device = torch.device(options.device)
    kinds = frozenset({"compile", "graph"} - set(options.without))
    command = " ".join(["python benchmarks/gpu.py", *(sys.argv[1:] if arguments is None else arguments)])
    made = tables(device, options.precision, is_quick=options.quick, kinds=kinds)
    lines = [*heading(device, command), *measured(made, device, options.minutes)]
    if options.table10:
        lines += table_10(options.table10, options.device)
    text = "\n".join(lines)
    out = options.out or (None if options.quick else _RESULTS / f"{datetime.date.today().isoformat()}-gpu.md")
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
