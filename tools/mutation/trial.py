"""Runs the tests of a mutant and reports whether one of them fails.

The mutant is written into a copy of the tree. A process that has imported torch and pytest, but nothing of the project,
forks for each mutant, so that a trial costs what its tests cost.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAVY = (
    "torch", "torchvision", "torchaudio", "numpy", "pydantic", "networkx", "lark", "rich.console", "safetensors.torch",
    "sklearn.datasets", "torch.utils.tensorboard", "hypothesis", "pytest", "_pytest.assertion.rewrite", "PIL.Image",
    "jsonschema", "soundfile", "jiwer", "sacrebleu",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """`caught`, `survived` or `timeout`; the last lines of the output name the test."""

    outcome: str
    seconds: float
    tail: str


def warm_up() -> None:
    """Imports what every test would import, except the project."""
    for name in _HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def copy_of_tree(repository: Path, target: Path) -> None:
    """Copies the tracked files, including uncommitted changes."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        source = repository / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def tried(tree: Path, changes: dict[str, bytes], tests: Sequence[str], *, limit_seconds: float) -> Verdict:
    """Puts ``changes`` (by path) into the tree, runs the tests up to the first that fails, puts the files back."""
    before = {name: (tree / name).read_bytes() for name in changes}
    times = {name: (tree / name).stat().st_mtime_ns for name in changes}
    try:
        for name, content in changes.items():
            (tree / name).write_bytes(content)
        return _run(tree, tests, limit_seconds)
    finally:
        for name, content in before.items():
            (tree / name).write_bytes(content)
            os.utime(tree / name, ns=(times[name], times[name]))


def _run(tree: Path, tests: Sequence[str], limit_seconds: float) -> Verdict:
    log = tree / ".mutation.log"
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _test_in_child(tree, tests, log)
    code = code_of(child, started + limit_seconds)
    seconds = time.monotonic() - started
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-6:])
    if code is None:
        return Verdict("timeout", seconds, tail)
    return Verdict("survived" if code == 0 else "caught", seconds, tail)


def code_of(child: int, deadline: float) -> int | None:
    """The exit status of a process; None if it was still running at the deadline and was killed."""
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _test_in_child(tree: Path, tests: Sequence[str], log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(tree)
    sys.dont_write_bytecode = True
    paths = [str(tree), str(tree / "runtime")]
    sys.path[:0] = paths
    os.environ |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    code = 1
    try:
        import pytest

        code = int(pytest.main(["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", *tests]))
    finally:
        sys.stdout.flush()
        os._exit(code)
