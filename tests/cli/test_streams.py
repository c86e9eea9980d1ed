"""Every command with its output closed, full, broken or in a small alphabet: never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {
    "dsd-lint": "dsd_lang.cli.lint",
    "dsd-fmt": "dsd_lang.cli.fmt",
    "dsd-plan": "dsd_lang.cli.plan",
    "dsd-new": "dsd_lang.cli.new",
    "dsd-completion": "dsd_lang.cli.completion",
    "dsd-lsp": "dsd_lang.lsp.server",
    "dsd-run": "dsd_runtime.cli",
    "dsd-report": "dsd_runtime.results.cli",
}
WORDS = {
    "dsd-lint": ["a.dsd"],
    "dsd-fmt": ["--diff", "a.dsd"],
    "dsd-plan": ["a.dsd"],
    "dsd-new": ["-"],
    "dsd-completion": ["bash"],
    "dsd-lsp": ["--help"],
    "dsd-run": ["--help"],
    "dsd-report": ["--help"],
}
TOOLS = sorted(WORDS)
has_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.dsd").write_text("dense 5ep lr=.1 # ✓\n", encoding="utf-8")
    return tmp_path


def run(tool: str, folder: Path, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" -m {MODULES[tool]} {" ".join(WORDS[tool])} {redirection}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )


@has_full
@pytest.mark.parametrize("tool", TOOLS)
def test_a_full_disk_is_a_sentence(tool: str, folder: Path) -> None:
    done = run(tool, folder, "> /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{tool}: cannot write to stdout: no space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_a_closed_output_is_a_sentence(tool: str, folder: Path) -> None:
    done = run(tool, folder, ">&-")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{tool}: cannot write to stdout: it is closed"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_a_closed_stderr_changes_nothing(tool: str, folder: Path) -> None:
    open_one, closed = run(tool, folder), run(tool, folder, "2>&-")
    assert (closed.returncode, closed.stdout) == (open_one.returncode, open_one.stdout)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_reader_that_leaves_is_not_told(tool: str, folder: Path) -> None:
    done = run(tool, folder, "| true")
    assert done.stderr == ""


@pytest.mark.parametrize("tool", TOOLS)
def test_a_small_alphabet_gets_escapes(tool: str, folder: Path) -> None:
    done = run(tool, folder, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode in (0, 1)
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_a_closed_input_is_a_sentence(folder: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m dsd_lang.cli.lint - <&-', sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "dsd-lint: cannot read `stdin`: it is closed\n")
