"""Mutation testing: `python tools/mutation faults`; `python tools/mutation reach`, then `python tools/mutation try`.

`faults` writes each fault of `named_faults.toml` into a copy of the tree and runs the tests that must notice it.

`reach` runs the tests once and notes which lines each of them reaches (`pip install coverage` first). `try` draws
mutants evenly over the packages below, runs for each the tests that reach it, the quickest first, up to the first that
fails, and appends one JSON line for each to `--out`; what is in that file already is not tried again. None is part of
CI: the named faults take about a quarter of an hour, 300 mutants about an hour.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults import prove
from loaded import is_in_function, try_loaded
from mutants import Mutant, mutants_of
from trial import Verdict, copy_of_tree, tried, warm_up

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGES = (
    "runtime/dsd_runtime/engine", "runtime/dsd_runtime/masks", "runtime/dsd_runtime/experiment",
    "runtime/dsd_runtime/training", "dsd_lang/passes", "dsd_lang/plan",
)  # fmt: skip
TESTS = ("tests/runtime", "tests/lang")
NEARBY_LINES = 12
"""How far around a mutant a test's lines count when tests are chosen."""


def main(arguments: Sequence[str]) -> int:
    """Measures coverage, tries mutants or named faults.

    Returns 0 unless tests failed without any fault, or a named fault was not caught.
    """
    options = _parser().parse_args(arguments)
    if options.what == "faults":
        return prove(REPOSITORY, options.only)
    if options.what == "reach":
        from reach import measure

        sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "runtime")]
        return measure(REPOSITORY, PACKAGES, options.tests or TESTS, options.reach)
    wanted = drawn(options.count, options.seed, options.only or PACKAGES)
    _try_all(wanted, json.loads(options.reach.read_text()), options)
    _print_score(options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tools/mutation", description=__doc__)
    parser.add_argument("what", choices=("faults", "reach", "try"))
    parser.add_argument("tests", nargs="*", help="what `reach` runs (default: tests/runtime tests/lang)")
    parser.add_argument("--reach", type=Path, default=Path("reach.json"), help="the file `reach` writes, `try` reads")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="a package or module, or a part of named faults' names"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="try the survivors of an earlier run once more")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of tests for one mutant")
    return parser


def drawn(count: int, seed: int, packages: Sequence[str]) -> list[Mutant]:
    """Draws the same number of mutants from each package, and within a package from each module in turn."""
    chance = random.Random(seed)
    queues = [_in_turn(package, chance) for package in packages]
    found: list[Mutant] = []
    while queues and len(found) < count:
        for queue in list(queues):
            mutant = next(queue, None)
            if mutant is None:
                queues.remove(queue)
            elif len(found) < count:
                found.append(mutant)
    return found


def _in_turn(package: str, chance: random.Random) -> Iterator[Mutant]:
    """The mutants of a package: one of each module, with mixed kinds, then the next of each."""
    root = REPOSITORY / package
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    chance.shuffle(files)
    piles = [_mixed(mutants_of(str(file.relative_to(REPOSITORY)), file.read_text()), chance) for file in files]
    while piles := [pile for pile in piles if pile]:
        yield from [pile.pop() for pile in piles]


def _mixed(mutants: list[Mutant], chance: random.Random) -> list[Mutant]:
    """In random order, but no kind again before all others had their turn (so that frequent kinds wait)."""
    chance.shuffle(mutants)
    seen: collections.Counter[str] = collections.Counter()
    turns = []
    for mutant in mutants:
        turns.append((seen[mutant.kind], chance.random(), mutant))
        seen[mutant.kind] += 1
    return [mutant for _, _, mutant in sorted(turns, key=lambda turn: turn[:2], reverse=True)]


def tests_for(mutant: Mutant, reach: dict[str, Any], budget: float) -> tuple[list[str], float]:
    """The tests that reach a mutant, as many as a time allows; that time.

    First those that between them reach every line of the function it is in, the quickest for each, then again of the
    rest; so each branch has its turn early. What runs on import is reached by every test of the module.
    """
    lines = {int(line): set(found) for line, found in reach["lines"].get(mutant.file, {}).items()}
    reaching = set().union(*(lines.get(line, set()) for line in range(mutant.line, mutant.end_line + 1)))
    around = lines
    if reaching:
        around = {line: found & reaching for line, found in lines.items() if abs(line - mutant.line) <= NEARBY_LINES}
    seconds_of = {number: float(reach["tests"][number][1]) for found in around.values() for number in found}
    chosen: dict[int, float] = {}
    while len(chosen) < len(seconds_of):
        before = len(chosen)
        for found in sorted(around.values(), key=len):
            left = sorted(found - set(chosen), key=lambda number: seconds_of[number])
            if left and sum(chosen.values()) + seconds_of[left[0]] <= max(
                budget, seconds_of[left[0]] if not chosen else 0
            ):
                chosen[left[0]] = seconds_of[left[0]]
        if len(chosen) == before or len(chosen) > 400:
            break
    return [str(reach["tests"][number][0]) for number in chosen], sum(chosen.values())


def _try_all(mutants: Sequence[Mutant], reach: dict[str, Any], options: argparse.Namespace) -> None:
    done = {entry["key"] for entry in _entries(options.out)}
    if options.again is not None:
        left = {entry["key"] for entry in _entries(options.again) if entry["outcome"] == "survived"}
        mutants = [mutant for mutant in mutants if mutant.key in left]
    mutants = [mutant for mutant in mutants if mutant.key not in done]
    shared = REPOSITORY.parent / "shared" / "data"
    if shared.is_dir():
        os.environ.setdefault("DSD_SHARED_DATA", str(shared))

    def plan(mutant: Mutant) -> tuple[Sequence[str], float]:
        return tests_for(mutant, reach, options.budget)

    with tempfile.TemporaryDirectory() as folder, options.out.open("a") as out:
        tree = Path(folder) / "tree"
        copy_of_tree(REPOSITORY, tree)

        def tell(mutant: Mutant, tests: int, verdict: Verdict) -> None:
            out.write(json.dumps({**asdict(mutant), "key": mutant.key, "tests": tests, **asdict(verdict)}) + "\n")
            out.flush()

        warm_up()
        sources = {name: (tree / name).read_text() for name in {mutant.file for mutant in mutants}}
        inside = [mutant for mutant in mutants if is_in_function(mutant, sources[mutant.file])]
        files = sorted({test.partition("::")[0] for test, _ in reach["tests"]})
        if os.fork() == 0:  # this process keeps nothing of the project loaded
            try_loaded(tree, inside, files, plan, tell)
            os._exit(0)
        os.wait()
        for mutant in mutants:
            if mutant not in inside:
                tests, seconds = plan(mutant)
                changed = {mutant.file: mutant.applied(sources[mutant.file].encode())}
                verdict = tried(tree, changed, tests, limit_seconds=60 + 6 * seconds)
                tell(mutant, len(tests), verdict if tests else Verdict("survived", 0.0, "no test"))


def _entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _print_score(path: Path) -> None:
    entries = _entries(path)
    survived = [entry for entry in entries if entry["outcome"] == "survived"]
    for entry in survived:
        print(f"{entry['file']}:{entry['line']}: {entry['kind']}: {entry['before']!r} -> {entry['after']!r}")
    print(f"{len(entries) - len(survived)} of {len(entries)} caught")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
