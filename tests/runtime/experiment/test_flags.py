"""The flags of `dsd-run` are a contract: removing or renaming one breaks people's scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dsd_runtime.cli import build_parser, main

FLAGS = {
    "-h", "--help", "--version", "--model", "--data", "--out", "--device", "--precision", "--compile", "--seed",
    "--set", "--scale", "--resume", "--fresh", "--dry-run", "--workers", "--progress", "--save-every",
    "--write-layers", "--json", "--no-predictions", "--threads", "--list-models", "--list-data", "--trust-schedule",
    "--evaluate", "--jobs", "--ray", "--slurm", "--shard", "--sync-batchnorm",
}  # fmt: skip


def test_the_flags_are_frozen() -> None:
    assert {option for action in build_parser()._actions for option in action.option_strings} == FLAGS


def test_the_choices_are_frozen() -> None:
    choices = {action.dest: tuple(action.choices) for action in build_parser()._actions if action.choices}
    assert choices == {
        "device": ("auto", "cpu", "cuda"),
        "precision": ("fp32", "bf16", "fp16"),
        "progress": ("auto", "plain", "none"),
    }


@pytest.mark.parametrize("words", [[], ["--resume", "--fresh", "a.dsd"], ["a.dsd", "--device", "tpu"]])
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: dsd-run" in capsys.readouterr().err


def test_without_torch_it_says_which_extra_is_missing(repository: Path, tmp_path: Path) -> None:
    schedule = tmp_path / "a.dsd"
    schedule.write_text("dense 1ep")
    block = "import sys; sys.modules['torch'] = None; from dsd_runtime.cli import main; sys.exit(main(sys.argv[1:]))"
    path = [str(repository), str(repository / "runtime")]
    program = f"import sys; sys.path[:0] = {path!r}; {block}"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(schedule), "--model", "ds2"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "`dsd-run` needs `torch`" in ended.stderr
    assert "dsd-lang[run]" in ended.stderr
    assert "Traceback" not in ended.stderr
