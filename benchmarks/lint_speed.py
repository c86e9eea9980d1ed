"""How long `dsd-lint` takes: cold on four lines beside yamllint, and on 10,000 lines.

    python benchmarks/lint_speed.py [--rounds 20]

The two tools run interleaved, each in a fresh process with its bytecode cached; medians of wall and of processor time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOUR_LINES = "dense 50ep lr=8e-4\nsparse 0.5 layers=fc,birnn 50ep\ndense lr=3e-4\nrepeat sparse 0.25\n"
FOUR_LINES_YAML = "---\na: 1\nb: [2, 3]\nc: {d: 4}\n"
MANY_LINES = "sparse 0.5 layers=fc,birnn 50ep lr=1e-3\ndense lr=3e-4 decay=step(33%, 66%, by=0.1)  # again\n" * 5000
LINT = "import sys; from dsd_lang.cli.lint import main; sys.exit(main())"


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> int:
    """Prints the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    beside = Path(sys.executable).with_name("yamllint")
    yamllint = str(beside) if beside.exists() else shutil.which("yamllint")
    with tempfile.TemporaryDirectory() as folder:
        four, many, yaml = (Path(folder, name) for name in ("four.dsd", "many.dsd", "four.yaml"))
        four.write_text(FOUR_LINES)
        many.write_text("dense 50ep lr=8e-4\n" + MANY_LINES)
        yaml.write_text(FOUR_LINES_YAML)
        commands = {"dsd-lint": [sys.executable, "-c", LINT, str(four)]}
        if yamllint is not None:
            commands["yamllint"] = [yamllint, str(yaml)]
        for command in commands.values():
            timed(command)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(timed(command))
        medians = {
            name: tuple(statistics.median(column) for column in zip(*runs, strict=True)) for name, runs in times.items()
        }
        for name, (wall, processor) in medians.items():
            print(f"{name:10} four lines, cold: {wall * 1000:6.1f} ms wall, {processor * 1000:6.1f} ms processor")
        if "yamllint" in medians:
            ratios = [ours / theirs for ours, theirs in zip(medians["dsd-lint"], medians["yamllint"], strict=True)]
            print(f"ratio      {ratios[0]:.2f} wall, {ratios[1]:.2f} processor (medians of {rounds}, interleaved)")
        wall, processor = timed([sys.executable, "-c", LINT, str(many)])
        print(f"dsd-lint   10,001 lines:     {wall:6.2f} s wall,  {processor:6.2f} s processor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
