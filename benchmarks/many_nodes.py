"""`dsd-run` with thousands of nodes whose trainings take no time: what is left is the work of the run itself.

    python benchmarks/many_nodes.py [--phases 10000] [--shape wide|deep] [--profile]

`wide` is a trunk with as many branches, `deep` has 99 branches of about 100 phases. Everything is as in a run, but the
executor: it takes the lease of a node and publishes a checkpoint of four weights. Each row is processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import io
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dsd_runtime import cli
from dsd_runtime.experiment import command, whole_run
from dsd_runtime.experiment.attempts import attempted, publish_attempt
from dsd_runtime.experiment.executors.choose import Workers
from dsd_runtime.experiment.executors.executor import Outcome
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import Lease
from dsd_runtime.experiment.reporting import UpToDate
from dsd_runtime.experiment.runner import Runner
from dsd_runtime.storage.checkpoint import save_checkpoint
from dsd_runtime.tracking.tracker import Tracker

METRICS = {"val.err": 1.0, "test.err": 2.0}
STEPS = {
    cli: ("resolve",),
    command: ("prepare", "build_probe", "print_results"),
    whole_run: ("node_keys", "check_tree", "survey", "shorter_forms", "compare_with_earlier", "phase_rows", "_flops",
                "estimate_cost", "print_head", "build_manifest", "_claim", "ReadyQueue", "join_metrics", "read_results",
                "report_or_say_why"),
    Runner: ("run", "write_line_ends"),
    UpToDate: ("refresh",),
}  # fmt: skip
spent: dict[str, float] = {}


@contextlib.contextmanager
def counted(name: str) -> Iterator[None]:
    """Adds the processor time of the block."""
    began = time.process_time()
    try:
        yield
    finally:
        spent[name] = spent.get(name, 0.0) + time.process_time() - began


def watch(owner: Any, name: str) -> None:
    """Counts the time of a function."""
    function: Callable[..., Any] = vars(owner)[name]

    def timed(*arguments: Any, **named: Any) -> Any:
        with counted(name):
            return function(*arguments, **named)

    setattr(owner, name, timed)


class NoTraining:
    """An executor whose two workers end at once."""

    name, is_here = "", False

    def __init__(self, folder: RunFolder, keys: Mapping[str, str]) -> None:
        self._folder, self._keys = folder, keys
        self._last: list[str | None] = [None, None]
        self._busy: dict[int, str] = {}

    @property
    def idle(self) -> Sequence[str | None]:
        return [last for number, last in enumerate(self._last) if number not in self._busy]

    def submit(self, phase: str, after: str | None) -> None:
        number = next(n for n, last in enumerate(self._last) if n not in self._busy and last == after)
        self._busy[number] = phase

    def wait(self, seconds: float) -> list[Outcome]:
        found = []
        for number, phase in self._busy.items():
            with counted("of it: leases, attempts and checkpoints of the nodes"):
                self._publish(phase, self._keys[phase])
            self._last[number] = phase
            found.append(Outcome(phase, "trained", METRICS))
        self._busy.clear()
        return found

    def cancel(self) -> None:
        """Nothing is running."""

    def close(self) -> None:
        """Nothing is running."""

    def _publish(self, phase: str, key: str) -> None:
        lease = Lease(self._folder.lease(key))
        assert lease.take()
        node = {"phase": phase, "metrics": METRICS, "open": None, "keeps_saved": False}
        with attempted(self._folder, key):
            attempt = self._folder.work(key)
            (attempt / "metrics.jsonl").write_text("")
            save_checkpoint(attempt / "end-0000000021", {"weights": {"w": torch.zeros(4)}, "node": node})
            publish_attempt(self._folder, key, replaces=False)
        lease.give_back()


def text(shape: str, phases: int) -> str:
    """A schedule of so many phases."""
    if shape == "wide":
        shares = ", ".join(f"{number / (phases + 1):.6f}" for number in range(1, phases))
        return f"base: dense 1ep lr=0.1\nsweep s in {shares} {{ sparse s 1ep }}\n"
    shares = ", ".join(f"{number / 101:.4f}" for number in range(1, 100))
    rounds = f"repeat {phases // 200} {{ sparse s 1ep; dense 1ep }}"
    return f"base: dense 1ep lr=0.1\nsweep s in {shares} {{ dense 1ep; {rounds} }}\n"


def no_workers(prepared: Any, folder: RunFolder, keys: Mapping[str, str], history: Any, shorter: Any, stop: Any,
               shown: Any, up_to_date: Any) -> Workers:  # fmt: skip
    """Instead of the executor that the command asks for."""
    return Workers(NoTraining(folder, keys), Tracker(shown), folder.leases / "stop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", type=int, default=10_000)
    parser.add_argument("--shape", choices=("wide", "deep"), default="wide")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    whole_run.workers = no_workers
    for owner, names in STEPS.items():
        for name in names:
            watch(owner, name)
    with tempfile.TemporaryDirectory() as folder:
        schedule = Path(folder, "tree.dsd")
        schedule.write_text(text(options.shape, options.phases))
        flags = ["--model", "lenet_300_100", "--threads", "1", "--device", "cpu", "--progress", "none"]
        for label in ("the run", "the same command again"):
            told = f"{options.shape}, {options.phases} phases, {label}"
            measure(told, [str(schedule), *flags, "--out", f"{folder}/run"], is_profiled=options.profile)


def measure(label: str, arguments: list[str], *, is_profiled: bool) -> None:
    """Prints what a command spends its time on."""
    spent.clear()
    profile = cProfile.Profile()
    began, cpu = time.monotonic(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
        if is_profiled:
            profile.enable()
        code = cli.main(arguments)
        profile.disable()
    assert code == 0, told.getvalue()
    print(f"\n| {label} | cpu |\n|---|--:|")
    print(f"| all (wall {time.monotonic() - began:.1f} s) | {time.process_time() - cpu:.1f} s |")
    for name, seconds in spent.items():
        if seconds >= 0.1:
            print(f"| `{name}` | {seconds:.1f} s |" if " " not in name else f"| {name} | {seconds:.1f} s |")
    sys.stdout.flush()
    if is_profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
