"""Seconds from the start of `dsd-run schedules/quickstart.dsd` to its first update, beside the import of torch alone.

    python benchmarks/start_up.py [--rounds 5]

Each round starts both once, in fresh processes. Printed are medians of the wall time and of the processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "import os, torch; print(*os.times()[:2])"
FIRST_UPDATE = """
import os, sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder


class AtTheFirstUpdate(MetaPathFinder):
    '''Ends the process after the first `session.step()`.'''

    def find_spec(self, name, path, target=None):
        if name != "dsd_runtime.engine.session":
            return None
        spec = PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            step = module.Session.step

            def first(session, **options):
                step(session, **options)
                print(*os.times()[:2], file=sys.stderr, flush=True)
                os._exit(0)

            module.Session.step = first

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, AtTheFirstUpdate())
from dsd_runtime.cli import main

main(sys.argv[1:])
"""


def seconds(program: str, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds up to the last line that a program prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "runtime")))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=environment, check=True
    )
    wall = time.perf_counter() - started
    return wall, sum(map(float, (ended.stdout + ended.stderr).splitlines()[-1].split()))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    schedule = str(ROOT / "schedules" / "quickstart.dsd")
    times: dict[str, list[tuple[float, float]]] = {
        "`import torch`": [],
        "`dsd-run quickstart`, to the first update": [],
    }
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            torch_alone, ours = times.values()
            torch_alone.append(seconds(TORCH))
            ours.append(seconds(FIRST_UPDATE, schedule, "--out", f"{folder}/run", "--progress", "none"))
    print("| what | wall | processor time |\n|---|---|---|")
    for what, found in times.items():
        wall, processor = (statistics.median(one) for one in zip(*found, strict=True))
        print(f"| {what} | {wall:.2f} s | {processor:.2f} s |")


if __name__ == "__main__":
    main()
