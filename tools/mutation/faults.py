"""Proves that the tests notice the faults that `named_faults.toml` names.

Each is written into a copy of the tree, and the tests that must notice it are run there up to the first that fails. The
same tests are run once before, without any fault: one that fails anyway notices nothing.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trial import Verdict, copy_of_tree, tried, warm_up

NAMED_FAULTS = Path(__file__).with_name("named_faults.toml")
_LIMIT_SECONDS = 300.0
_LIMIT_SECONDS_UNCHANGED = 3600.0


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement of text in a file; ``before`` occurs exactly once in it."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in plain words, the edits that make it, and the tests (files or node ids) of which one must fail."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def read_faults(path: Path = NAMED_FAULTS) -> tuple[Fault, ...]:
    """The faults of a file; raises ``KeyError`` and ``TypeError`` for an entry with missing or unknown fields."""
    return tuple(_fault(entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"])


def _fault(entry: dict[str, Any]) -> Fault:
    also, name, tests = entry.pop("also", ()), entry.pop("name"), entry.pop("tests")
    return Fault(name, tuple(Edit(**edit) for edit in (entry, *also)), tuple(tests))


def faulty_files(fault: Fault, tree: Path) -> dict[str, bytes]:
    """The changed files of a fault, by path; ``ValueError`` for a text that does not occur exactly once."""
    found: dict[str, str] = {}
    for edit in fault.edits:
        text = found.get(edit.file) or (tree / edit.file).read_text(encoding="utf-8")
        if (count := text.count(edit.before)) != 1:
            raise ValueError(f"`before` stands {count} times in {edit.file}, not once:\n{edit.before}")
        found[edit.file] = text.replace(edit.before, edit.after)
    return {file: text.encode() for file, text in found.items()}


def prove(repository: Path, only: Sequence[str] | None) -> int:
    """Tries every fault (or those whose names have one of ``only`` in them), prints a table; 1 if any survives."""
    faults = [fault for fault in read_faults() if not only or any(part in fault.name for part in only)]
    if not faults:
        print("no fault has that name")
        return 1
    shared = repository.parent / "shared" / "data"
    if shared.is_dir():
        os.environ.setdefault("DSD_SHARED_DATA", str(shared))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy_of_tree(repository, tree)
        warm_up()
        tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))
        unchanged = tried(tree, {}, tests, limit_seconds=_LIMIT_SECONDS_UNCHANGED)
        if unchanged.outcome != "survived":
            print(f"the tests fail without any fault:\n{unchanged.tail}")
            return 1
        num_noticed = _print_table(faults, tree)
    return 0 if num_noticed == len(faults) else 1


def _print_table(faults: Sequence[Fault], tree: Path) -> int:
    """Prints a row for each fault when it was tried, and the number of caught ones."""
    print("| fault | noticed by |\n|---|---|", flush=True)
    num_noticed = 0
    for fault in faults:
        is_noticed, said = _tried(fault, tree)
        num_noticed += is_noticed
        print(f"| {fault.name} | {said} |", flush=True)
    print(f"\n{num_noticed} of {len(faults)} noticed")
    return num_noticed


def _tried(fault: Fault, tree: Path) -> tuple[bool, str]:
    """Whether a test fails with the fault, and which; else what happened."""
    try:
        files = faulty_files(fault, tree)
    except ValueError as error:
        return False, f"NOT WRITTEN: {str(error).splitlines()[0]}"
    verdict = tried(tree, files, fault.tests, limit_seconds=_LIMIT_SECONDS)
    test = failed_test(verdict)
    if test is not None:
        return True, f"`{test}`"
    return False, {"survived": "SURVIVED", "timeout": "TIMEOUT"}.get(verdict.outcome, f"NO TEST RAN: {verdict.tail}")


def failed_test(verdict: Verdict) -> str | None:
    """The test that failed, from the last lines of pytest's output; None if none failed."""
    for line in verdict.tail.splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("FAILED", "ERROR") and "::" in rest:
            return rest.partition(" - ")[0]
    return None
