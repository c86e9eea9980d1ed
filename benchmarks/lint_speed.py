"""How long the language's tools take: cold on one schedule beside yamllint and ruff, and on 10,000 lines.

    python benchmarks/lint_speed.py [--rounds 20] [--against CHECKOUT]

Every run is a fresh process with its bytecode cached; the tools run interleaved, and the medians of wall and processor
time are printed. yamllint must be installed beside this Python, whose start both pay, and checks a file with as many
lines and characters. `ruff check` is a compiled program and shows what the process itself costs. With `--against`
another checkout's tools run in the same rounds.
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
from typing import NamedTuple

from lsp_speed import large_schedule

ROOT = Path(__file__).resolve().parents[1]
SCHEDULE = ROOT / "schedules" / "deepspeech2.dsd"
SAME_SIZE_YAML = """\
fork:
  dsd:
    - dense: {length: 20ep, lr: 3e-4}
    - sparse: {share: 50%, layers: [fc, birnn]}
    - dense: {}
    - repeat: {sparse: 25%, dense: {lr: 6e-6}}
  baseline:
    - dense: {length: 60ep, lr: 3e-4}
# the paper trained each arm once, and the baseline for less
compare: {left: dsd, right: baseline, on: test.wer}
"""
PYTHON = "a = 1\nb = [2, 3]\nc = {'d': 4}\nprint(a, b, c)\n"
DENSE_LINES = "sparse 0.5 layers=fc,birnn 50ep lr=1e-3\ndense lr=3e-4 decay=step(33%, 66%, by=0.1)  # again\n" * 5000
PHASES = "".join(
    f"sparse {30 + i % 20}% layers=fc,birnn {i % 7 + 1}ep lr={1 + i % 9}e-3\ndense lr=3e-4\n" for i in range(500)
)
COMPILE = """
import sys, time
import dsd_lang
text = open(sys.argv[1]).read()
for _ in range(2):
    start, began = time.perf_counter(), time.process_time()
    dsd_lang.compile(text)
    print(time.perf_counter() - start, time.process_time() - began)
"""


class Times(NamedTuple):
    """Seconds of one run, or their medians."""

    wall: float
    processor: float


class Case(NamedTuple):
    """A command, and the checkout whose package it imports."""

    name: str
    command: tuple[str, ...]
    checkout: Path = ROOT


def timed(case: Case) -> Times:
    """One run."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = f"{case.checkout}{os.pathsep}{case.checkout / 'runtime'}"
    began = time.perf_counter()
    process = subprocess.Popen(
        case.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=case.checkout
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Times(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


def interleaved(cases: list[Case], rounds: int) -> list[Times]:
    """The medians of each case; one run of each first warms the caches."""
    for case in cases:
        timed(case)
    runs = [[timed(case) for case in cases] for _ in range(rounds)]
    return [Times(*(statistics.median(part) for part in zip(*times, strict=True))) for times in zip(*runs, strict=True)]


def tool(module: str, *arguments: str, checkout: Path = ROOT) -> Case:
    """One of our tools; another checkout's is named after its folder."""
    name = " ".join((f"dsd-{module}", *(word for word in arguments if word.startswith("-"))))
    code = f"import sys; from dsd_lang.cli.{module} import main; sys.exit(main())"
    shown = name if checkout == ROOT else f"{name} ({checkout.name})"
    return Case(shown, (sys.executable, "-c", code, *arguments), checkout)


def peers(folder: Path) -> list[Case]:
    """The peers that are installed beside this Python."""
    lines = SCHEDULE.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("# ")][:6]
    texts = {"same.yaml": "\n".join(["---", *comments, SAME_SIZE_YAML]), "four.py": PYTHON}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    programs = (("yamllint", "same.yaml"), ("ruff", "check", "--no-cache", "four.py"))
    return [
        Case(program, (str(found), *words[:-1], str(folder / words[-1])))
        for program, *words in programs
        if (found := Path(sys.executable).with_name(program)).exists()
    ]


def report(title: str, cases: list[Case], rounds: int) -> None:
    """Prints the medians, and their ratios to the first case."""
    print(f"{title}; medians of {rounds}, interleaved, ratios to {cases[0].name}:")
    medians = interleaved(cases, rounds)
    for case, times in zip(cases, medians, strict=True):
        ratios = f"{times.wall / medians[0].wall:5.2f} {times.processor / medians[0].processor:5.2f}"
        print(f"  {case.name:28} {times.wall * 1e3:8.1f} ms wall {times.processor * 1e3:8.1f} ms processor   {ratios}")


def compiled(path: Path, checkouts: list[Path], rounds: int) -> None:
    """Prints how long `dsd_lang.compile` takes in a process that has compiled before."""
    times: dict[Path, list[Times]] = {checkout: [] for checkout in checkouts}
    for _ in range(rounds):
        for checkout, found in times.items():
            environment = {**os.environ, "PYTHONPATH": str(checkout)}
            command = [sys.executable, "-c", COMPILE, str(path)]
            said = subprocess.run(
                command, env=environment, cwd=checkout, capture_output=True, text=True, check=True
            ).stdout
            found.append(Times(*map(float, said.splitlines()[-1].split())))
    for checkout, found in times.items():
        wall, processor = (statistics.median(part) for part in zip(*found, strict=True))
        print(f"  {checkout.name:28} {wall * 1e3:8.1f} ms wall {processor * 1e3:8.1f} ms processor")


def main() -> int:
    """Prints the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--against", type=Path, help="another checkout to compare with")
    options = parser.parse_args()
    checkouts = [ROOT, *([options.against.resolve()] if options.against else [])]
    few = max(3, options.rounds // 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = {
            "dense.dsd": "dense 50ep lr=8e-4\n" + DENSE_LINES,
            "mixed.dsd": large_schedule(10_000),
            "phases.dsd": "dense 50ep lr=8e-4\n" + PHASES,
        }
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        cold = [tool("lint", str(SCHEDULE), checkout=checkout) for checkout in checkouts]
        others = [tool("fmt", "--check", str(SCHEDULE)), tool("plan", str(SCHEDULE)), tool("completion", "bash")]
        report("one schedule, cold", [*peers(folder), *cold, *others], options.rounds)
        for file, what in (
            ("phases.dsd", "1,001 phases"),
            ("mixed.dsd", "10,000 lines of all kinds"),
            ("dense.dsd", "10,001 phases with four arguments each"),
        ):
            report(what, [tool("lint", str(folder / file), checkout=checkout) for checkout in checkouts], few)
        report(
            "10,001 phases, formatted",
            [tool("fmt", "--diff", str(folder / "dense.dsd"), checkout=one) for one in checkouts],
            3,
        )
        print(f"`dsd_lang.compile` of 1,001 phases, second time in a process; medians of {options.rounds}:")
        compiled(folder / "phases.dsd", checkouts, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
