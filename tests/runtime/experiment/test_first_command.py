"""README's first command: speech learned in minutes on two cores, and where to look."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_first_command_learns_something_in_little_time(repository: Path, tmp_path: Path) -> None:
    path = os.pathsep.join((str(repository), str(repository / "runtime")))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-m", "dsd_runtime", str(repository / "schedules" / "first.dsd")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    table = [line.split() for line in ended.stdout.partition("at the end of each phase")[2].splitlines()[1:]]
    rate = table[0].index("test.wer")
    rates = {row[0]: float(row[rate]) for row in table[2:] if len(row) == len(table[0])}
    assert set(rates) == {"start", "dsd/p1", "dsd/p2", "plain/p3", "plain/p4"}
    assert rates["dsd/p2"] < 30
    assert rates["plain/p4"] < 30
    assert after.ru_utime - before.ru_utime < 300, "three minutes on two cores"
    for told in ("weights  runs/first-ds1-hidden-128/", "numbers  runs/", "curves   tensorboard --logdir runs/"):
        assert told in ended.stdout
    assert "Warning" not in ended.stderr
