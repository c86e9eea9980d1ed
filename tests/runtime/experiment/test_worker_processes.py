"""Worker processes of `--jobs`: those that are forked off have pipes of their own, and none outlives the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from dsd_runtime.experiment.executors.starting import can_fork, forked, worker_process
assert can_fork()
with forked(3):
    first, second = worker_process(), worker_process()
    first.stdin.close()
    assert first.wait(20) == 0, "its input has ended, though the second one's pipes are open"
    second.kill()
    assert second.wait(20) == -9
    assert second.returncode == -9
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nobody is left")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are forked on Linux")
def test_forked_workers_end_with_their_input_and_with_the_command(repository: Path) -> None:
    path = os.pathsep.join([str(repository), str(repository / "runtime")])
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "nobody is left\n"), done.stderr


def test_a_process_that_has_torch_is_not_forked() -> None:
    import torch  # noqa: F401

    from dsd_runtime.experiment.executors.starting import can_fork

    assert not can_fork()
