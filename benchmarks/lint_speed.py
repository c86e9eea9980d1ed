"""How long `dsd-lint` and `dsd-fmt` take: cold on four lines beside yamllint and ruff, and on 10,000 lines.

    python benchmarks/lint_speed.py [--rounds 20]

The tools run interleaved, each in a fresh process with its bytecode cached; medians of wall and of processor time.
yamllint starts Python as ours do; `ruff check` is a compiled program and shows what the process itself costs.
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
FOUR_LINES_CANONICAL = "dense 50ep lr=8e-4\nsparse 50% layers=fc,birnn 50ep\ndense lr=3e-4\nrepeat sparse 25%\n"
FOUR_LINES_YAML = "---\na: 1\nb: [2, 3]\nc: {d: 4}\n"
FOUR_LINES_PYTHON = "a = 1\nb = [2, 3]\nc = {'d': 4}\nprint(a, b, c)\n"
MANY_LINES = "sparse 0.5 layers=fc,birnn 50ep lr=1e-3\ndense lr=3e-4 decay=step(33%, 66%, by=0.1)  # again\n" * 5000
LINT = "import sys; from dsd_lang.cli.lint import main; sys.exit(main())"
FORMAT = "import sys; from dsd_lang.cli.fmt import main; sys.exit(main())"

Times = tuple[float, float]


def timed(command: list[str]) -> Times:
    """Wall and processor seconds of one run."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def interleaved(commands: dict[str, list[str]], rounds: int) -> dict[str, Times]:
    """The medians of each command's wall and processor seconds; one run of each first warms the caches."""
    for command in commands.values():
        timed(command)
    times: dict[str, list[Times]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(timed(command))
    return {
        name: (statistics.median(wall for wall, _ in runs), statistics.median(processor for _, processor in runs))
        for name, runs in times.items()
    }


def cold_commands(folder: str) -> dict[str, list[str]]:
    """Each tool on four lines of its own language; peers that are not installed are left out."""
    texts = {
        "four.dsd": FOUR_LINES, "canonical.dsd": FOUR_LINES_CANONICAL, "four.yaml": FOUR_LINES_YAML,
        "four.py": FOUR_LINES_PYTHON,
    }  # fmt: skip
    paths = {name: str(Path(folder, name)) for name in texts}
    for name, text in texts.items():
        Path(paths[name]).write_text(text)
    commands = {
        "dsd-lint": [sys.executable, "-c", LINT, paths["four.dsd"]],
        "dsd-fmt --check": [sys.executable, "-c", FORMAT, "--check", paths["canonical.dsd"]],
    }
    peers = {
        "yamllint": ["yamllint", paths["four.yaml"]],
        "ruff check": ["ruff", "check", "--no-cache", paths["four.py"]],
    }
    for name, (program, *arguments) in peers.items():
        beside = Path(sys.executable).with_name(program)
        found = str(beside) if beside.exists() else shutil.which(program)
        if found is not None:
            commands[name] = [found, *arguments]
    return commands


def main() -> int:
    """Prints the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        medians = interleaved(cold_commands(folder), rounds)
        print(f"four lines, cold, medians of {rounds}, interleaved:")
        for name, (wall, processor) in medians.items():
            ratio = f"   {wall / medians['yamllint'][0]:.2f} x yamllint" if "yamllint" in medians else ""
            print(f"  {name:16} {wall * 1000:6.1f} ms wall {processor * 1000:6.1f} ms processor{ratio}")
        many = Path(folder, "many.dsd")
        many.write_text("dense 50ep lr=8e-4\n" + MANY_LINES)
        print("10,001 lines:")
        for name, arguments in (("dsd-lint", [LINT]), ("dsd-fmt --check", [FORMAT, "--check"]), ("dsd-fmt", [FORMAT])):
            wall, processor = timed([sys.executable, "-c", *arguments, str(many)])
            print(f"  {name:16} {wall:6.2f} s wall  {processor:6.2f} s processor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
