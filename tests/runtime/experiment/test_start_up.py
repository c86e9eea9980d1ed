"""What `dsd-run` loads: training begins as soon as torch is there, without libraries that take as long to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW_TO_IMPORT = ("torch._dynamo", "sympy", "sklearn", "scipy", "pandas", "torchvision", "torchaudio")
SCHEDULE = """set model="lenet_300_100" data="digits" opt={opt}
start: dense 1ep
fork {{
  sparser: {{ sparse 50% 1ep }}
  longer: {{ dense 1ep }}
}}
"""


@pytest.mark.parametrize("opt", ["sgd(momentum=0.9)", "adamw"])
def test_a_whole_run_loads_no_library_that_is_slow_to_import(repository: Path, tmp_path: Path, opt: str) -> None:
    """With checkpoints, a branch that begins at one, and the report."""
    schedule = tmp_path / "start.dsd"
    schedule.write_text(SCHEDULE.format(opt=opt))
    path = [str(repository), str(repository / "runtime")]
    program = (
        f"import sys; sys.path[:0] = {path!r}; from dsd_runtime.cli import main; code = main(sys.argv[1:])\n"
        f"print('loaded', [name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])\nsys.exit(code)"
    )
    command = [sys.executable, "-c", program, str(schedule), "--out", str(tmp_path / "run"), "--progress", "none"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "loaded []"
