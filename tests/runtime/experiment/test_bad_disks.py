"""A run folder that is read-only, becomes so, is slow, or has the leases of machines that are gone."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dsd_runtime.experiment import leases

from .conftest import DSD, Run
from .test_leases import holding

FORK = "base: dense 1ep lr=0.05\nsweep s in 30%, 60%, 90% { sparse s 2ep }\n"
SLOW = """
import os, random, sys, time
from dsd_runtime.experiment import leases
from dsd_runtime.cli import main

def slow(function):
    def after_a_while(*arguments, **named):
        if any("shared" in str(argument) for argument in arguments) or function is os.fsync:
            time.sleep(draws.choice((0.0, 0.02, 0.1, 0.4)))
        return function(*arguments, **named)
    return after_a_while

draws = random.Random(int(sys.argv[1]))
leases.LEASE_SECONDS = 1.0
for name in ("rename", "replace", "link", "fsync", "utime", "unlink", "open"):
    setattr(os, name, slow(getattr(os, name)))
sys.exit(main(sys.argv[2:]))
"""
CAN_WRITE_EVERYWHERE = 1
"""CAP_DAC_OVERRIDE, which root has."""


def _as_an_ordinary_user() -> None:
    """What a folder may not be written by its mode binds this process too (prctl, PR_CAPBSET_DROP)."""
    ctypes.CDLL(None).prctl(24, CAN_WRITE_EVERYWHERE, 0, 0, 0)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Nobody may write in the folder and those below it."""
    while True:  # others may be writing
        try:
            for root, _, _ in os.walk(folder, topdown=False):
                Path(root).chmod(0o555)
        except FileNotFoundError:
            continue
        break
    try:
        yield
    finally:
        for root, _, _ in os.walk(folder):
            Path(root).chmod(0o755)


def _hashes(folder: Path) -> dict[str, str]:
    ends = folder.glob("checkpoints/*/end-*/*.safetensors")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in ends}


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    found = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*")}
    return {name: (found[name].st_size, stat.S_IFMT(found[name].st_mode)) for name in found}


@pytest.fixture
def environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join([str(repository), str(repository / "runtime"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def _flags(folder: Path, *flags: str) -> list[str]:
    basic = ["--model", "lenet_300_100", "--device", "cpu", "--progress", "plain", "--save-every", "0.05"]
    return [*basic, "--out", str(folder), *flags]


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=_as_an_ordinary_user,
    )  # fmt: skip


def _assert_one_sentence(text: str) -> None:
    assert text.count("error: ") == 1, text
    assert "could not be" in text or "cannot write" in text, text
    assert "permission denied" in text, text
    assert "Traceback" not in text


@pytest.mark.slow  # a command that loads torch
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="modes bind root only where it can give up its rights")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_folder_that_is_read_only(dsd_run: Run, tmp_path: Path, environment: dict[str, str], jobs: int) -> None:
    folder = dsd_run(DSD).folder
    schedule = tmp_path / "schedule.dsd"
    schedule.write_text(DSD + "dense 1ep\n")
    with _read_only(folder):
        before = _files(folder)
        command = [sys.executable, "-m", "dsd_runtime", str(schedule), *_flags(folder, "--jobs", str(jobs))]
        process = _start(command, environment)
        text = process.communicate(timeout=60)[0]
        assert process.returncode == 1, text
        assert _files(folder) == before
    _assert_one_sentence(text)


@pytest.mark.slow  # four commands that load torch
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="modes bind root only where it can give up its rights")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_folder_that_becomes_read_only(tmp_path: Path, environment: dict[str, str], jobs: int) -> None:
    """The run ends at once, with all that it has saved; the same command goes on when the folder can be written."""
    schedule = tmp_path / "fork.dsd"
    schedule.write_text(FORK.replace("2ep", "60ep"))
    command = [sys.executable, "-m", "dsd_runtime", str(schedule)]
    alone = _start([*command, *_flags(tmp_path / "alone")], environment)
    assert "val.err" in alone.communicate(timeout=300)[0]
    folder = tmp_path / "run"
    process = _start([*command, *_flags(folder, "--jobs", str(jobs))], environment)
    until = time.monotonic() + 100
    while len(list(folder.glob("checkpoints/*/attempt-*/progress-*"))) < jobs and time.monotonic() < until:
        time.sleep(0.02)
    with _read_only(folder):
        text = process.communicate(timeout=100)[0]
    assert process.returncode == 1, text
    _assert_one_sentence(text)
    again = _start([*command, *_flags(folder, "--jobs", str(jobs))], environment)
    text = again.communicate(timeout=300)[0]
    assert again.returncode == 0, text
    assert _hashes(folder) == _hashes(tmp_path / "alone")
    assert not list(folder.rglob(".writing-*"))


@pytest.mark.slow  # everything takes a tenth of a second longer
def test_a_folder_that_is_so_slow_that_leases_are_lost(tmp_path: Path, environment: dict[str, str]) -> None:
    """Two processes, each with two workers in all; the leases last one second, and a heartbeat may take half of it."""
    schedule = tmp_path / "fork.dsd"
    schedule.write_text(FORK)
    plain = _start([sys.executable, "-m", "dsd_runtime", str(schedule), *_flags(tmp_path / "alone")], environment)
    assert plain.wait(120) == 0
    shared = tmp_path / "shared"
    words = [str(schedule), *_flags(shared)]
    both = [_start([sys.executable, "-c", SLOW, str(seed), *words], environment) for seed in (1, 2)]
    texts = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(texts)
    assert _hashes(shared) == _hashes(tmp_path / "alone")
    assert not [path for pattern in ("attempt-*", "complete-*", "*.lock") for path in shared.rglob(pattern)]


@pytest.mark.slow  # waits for the leases
def test_the_leases_of_a_machine_that_is_gone_do_not_hold_a_run_up(
    dsd_run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    whole = dsd_run(DSD, out="whole")
    folder = whole.folder.with_name("gone")
    [*keys] = [path.name for path in (whole.folder / "checkpoints").iterdir()]
    with ExitStack() as stack:
        names = ("run-0", "folder", random.Random(0).choice(keys))
        machines = [stack.enter_context(holding(repository, folder / "leases" / f"{name}.lock", "far-away"))
                    for name in names]  # fmt: skip
        for process in machines:
            process.kill()
            process.wait()
        began = time.monotonic()
        outcome = dsd_run(DSD, out="gone")
    assert outcome.code == 0, outcome.err
    assert time.monotonic() - began < 30
    assert _hashes(outcome.folder) == _hashes(whole.folder)
    assert not list((folder / "leases").glob("*.lock"))
