"""What it costs to train branches side by side: a sweep, the time between two nodes, a tree of 10,000 nodes.

    python benchmarks/branches.py [sweep] [nodes] [tree] [--rounds 3] [--jobs 2] [--ways pool,joblib,ray,tune]

`sweep`  a trunk and 32 branches of `conv2` on `digits`, by `dsd-run --jobs 1` and `--jobs N` in turn, and the same
         trainings written by hand (`plain_branches.py`) in a pool of processes, joblib, Ray and Ray Tune
`nodes`  a trunk and 200 branches of one short epoch: the time from the end of one training in a process to the begin
         of its next one, without that of writing and loading checkpoints
`tree`   `dsd-run` with 10,000 nodes whose trainings take no time, by what the time is spent on

"cpu" is the processor time of a process and all that it started; it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SETTINGS = "set opt=sgd(momentum=0.9, nesterov=on) wd=1e-4\n"


class Cost(NamedTuple):
    """Seconds of a command."""

    wall: float
    cpu: float


def environment(**more: str) -> dict[str, str]:
    """One thread for each process, and the packages of this checkout."""
    paths = [
        more.pop("PYTHONPATH", ""),
        str(HERE.parent),
        str(HERE.parent / "runtime"),
        os.environ.get("PYTHONPATH", ""),
    ]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def timed(command: Sequence[str], env: dict[str, str]) -> Cost:
    """Runs a command to its end; raises if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{told}")
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime)


def dsd_run(schedule: Path, folder: Path, model: str, jobs: int) -> list[str]:
    """A run on one thread."""
    flags = ["--model", model, "--data", "digits", "--threads", "1", "--device", "cpu", "--progress", "none"]
    return [sys.executable, "-m", "dsd_runtime", str(schedule), *flags, "--out", str(folder), "--jobs", str(jobs)]


def weights_of(folder: Path) -> dict[str, str]:
    """The sha256 of every node's weights."""
    ends = folder.glob("checkpoints/*/end-*/weights.safetensors")
    return {str(end.parent.relative_to(folder)): hashlib.sha256(end.read_bytes()).hexdigest() for end in ends}


# --- sweep ------------------------------------------------------------------------------------------------------------


def sweep(options: argparse.Namespace, folder: Path) -> None:
    """Prints the medians of every way."""
    shares = ", ".join(f"{3 * number}%" for number in range(1, 33))
    schedule = folder / "sweep.dsd"
    epochs = options.epochs
    schedule.write_text(f"{SETTINGS}base: dense {epochs}ep lr=0.05\nsweep s in {shares} {{ sparse s {epochs}ep }}\n")
    plain = [sys.executable, str(HERE / "plain_branches.py")]
    ways = [("dsd-run --jobs 1", 1, ""), (f"dsd-run --jobs {options.jobs}", options.jobs, "")]
    ways += [(f"by hand, {way}, {jobs}", jobs, way) for way in options.ways for jobs in {1, options.jobs}]
    costs: dict[str, list[Cost]] = {name: [] for name, *_ in ways}
    expected: dict[str, str] = {}
    for number in range(options.rounds):
        for name, jobs, way in ways:
            out = folder / f"{number}-{name}"
            hand = [*plain, str(out), "--jobs", str(jobs), "--epochs", str(epochs), "--by", way]
            costs[name].append(timed(hand if way else dsd_run(schedule, out, "conv2", jobs), environment()))
            if not way:
                found = weights_of(out)
                expected = expected or found
                assert found == expected, "another number"
                assert len(found) == 33
            print(f"# round {number + 1}, {name}: {costs[name][-1]}", file=sys.stderr)
    one = median(costs["dsd-run --jobs 1"])
    print("\n| 33 nodes | wall | cpu | speed-up against `dsd-run --jobs 1` |\n|---|--:|--:|--:|")
    for name, found in costs.items():
        cost = median(found)
        print(f"| {name} | {cost.wall:.1f} s | {cost.cpu:.1f} s | {one.wall / cost.wall:.2f} |")


def median(costs: Sequence[Cost]) -> Cost:
    """Of each column."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


# --- nodes ------------------------------------------------------------------------------------------------------------


def nodes(options: argparse.Namespace, folder: Path) -> None:
    """Prints the milliseconds between two nodes of one process."""
    shares = ", ".join(f"{number / 2:g}%" for number in range(1, options.nodes + 1))
    schedule = folder / "nodes.dsd"
    schedule.write_text(f"{SETTINGS}base: dense 1ep lr=0.05\nsweep s in {shares} {{ sparse s 1ep }}\n")
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, node_times\nnode_times.note_into(os.environ['DSD_NODE_TIMES'])\n"
    )
    print(
        "\n| between two nodes, median (90%) | wall | without checkpoints | cpu, with checkpoints |\n|---|--:|--:|--:|"
    )
    for jobs in (1, options.jobs):
        notes = folder / f"notes-{jobs}"
        notes.mkdir()
        env = environment(PYTHONPATH=os.pathsep.join([str(hook), str(HERE)]), DSD_NODE_TIMES=str(notes))
        timed(dsd_run(schedule, folder / f"nodes-{jobs}", "lenet_300_100", jobs), env)
        gaps = [gap for file in notes.iterdir() for gap in gaps_of(file)]
        assert len(gaps) >= options.nodes - 2 * jobs
        print(
            f"| `--jobs {jobs}`, {len(gaps)} times | "
            + " | ".join(milliseconds(column) for column in zip(*gaps, strict=True))
            + " |"
        )


def gaps_of(file: Path) -> list[tuple[float, float, float]]:
    """Wall seconds between nodes, the same without checkpoints, and processor time."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    pairs = list(pairwise(lines))[1:]  # the first one loads modules
    gaps = [
        (now["began"] - before["ended"], now["storing"], now["cpu_began"] - before["cpu_ended"])
        for before, now in pairs
    ]
    return [(wall, wall - storing, cpu) for wall, storing, cpu in gaps]


def milliseconds(seconds: Sequence[float]) -> str:
    """The median and the ninth decile."""
    return f"{statistics.median(seconds) * 1e3:.1f} ({statistics.quantiles(seconds, n=10)[-1] * 1e3:.0f}) ms"


# --- all --------------------------------------------------------------------------------------------------------------

PARTS = ("sweep", "nodes", "tree")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=["pool", "joblib"])
    parser.add_argument("--nodes", type=int, default=198)
    parser.add_argument("--phases", type=int, default=10_000)
    options = parser.parse_args()
    print(f"# load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", file=sys.stderr)
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            if part == "tree":
                tree = [sys.executable, str(HERE / "many_nodes.py"), "--phases", str(options.phases)]
                subprocess.run(tree, env=environment(), check=True)
            else:
                {"sweep": sweep, "nodes": nodes}[part](options, Path(folder))


if __name__ == "__main__":
    main()
