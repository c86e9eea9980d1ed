"""kill -9 at random moments: every run that is started again ends with the same weights, to the bit."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from dsd_runtime.storage.checkpoint import weights_fingerprint

SCHEDULE = (
    "dense 2ep lr=0.05 decay=cosine\nsparse 50% 2ep update=rigl(every=3it)\ndense 2ep\n"
    "sparse 0->80% every=5it 1ep by=snip\ndense 1ep\n"
)


def _command(folder: Path, schedule: Path) -> list[str]:
    flags = ["--model", "conv2", "--data", "digits", "--progress", "plain", "--device", "cpu", "--save-every", "0.2"]
    options = ["--set", "opt=sgd(momentum=0.9, nesterov=on)", "--out", str(folder)]
    return [sys.executable, "-m", "dsd_runtime", str(schedule), *flags, *options]


def _environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join([str(repository), str(repository / "runtime"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def _final(folder: Path) -> str:
    return weights_fingerprint(load_file(folder / "final.safetensors"))


def _run_and_kill(command: list[str], environment: dict[str, str], delay: float) -> bool:
    """Starts a run, kills it ``delay`` seconds after its first phase was entered; whether it was still running."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "updates, lr" in line:
            break
    time.sleep(delay)
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    return was_running


def _kill_trials(repository: Path, tmp_path: Path, count: int, seed: int) -> int:
    schedule = tmp_path / "dsd.dsd"
    schedule.write_text(SCHEDULE)
    environment = _environment(repository)
    started = time.monotonic()
    subprocess.run(_command(tmp_path / "whole", schedule), env=environment, check=True, capture_output=True)
    seconds = time.monotonic() - started
    expected = _final(tmp_path / "whole")
    draws = random.Random(seed)
    killed = 0
    for trial in range(count):
        command = _command(tmp_path / f"run{trial}", schedule)
        killed += _run_and_kill(command, environment, draws.uniform(0, 0.7 * seconds))
        subprocess.run(command, env=environment, check=True, capture_output=True)
        assert _final(tmp_path / f"run{trial}") == expected, f"trial {trial}"
        assert not list((tmp_path / f"run{trial}").rglob(".writing-*"))
    return killed


@pytest.mark.slow  # five processes that load torch; `.ci/run` runs it
def test_two_kills(repository: Path, tmp_path: Path) -> None:
    assert _kill_trials(repository, tmp_path, count=2, seed=1) >= 1


@pytest.mark.slow
def test_twenty_kills(repository: Path, tmp_path: Path) -> None:
    assert _kill_trials(repository, tmp_path, count=20, seed=2) >= 10
