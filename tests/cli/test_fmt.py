"""The formatter's command line: files rewritten whole or not at all, checks, diffs, stdin, and its exit codes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsd_lang import formatting
from dsd_lang.cli import fmt, rewrite
from dsd_lang.cli.fmt import main

CANONICAL = "dense 50ep lr=8e-4\nsparse 50%\ndense\n"
WRITTEN = "dense lr=8e-4 50ep; sparse .5\n\n\ndense\n"
FORMATTED = "dense 50ep lr=8e-4\nsparse 50%\n\ndense\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "canonical.dsd").write_text(CANONICAL)
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "sub folder" / "written.dsd").write_text(WRITTEN)
    return tmp_path


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_folder_is_rewritten_in_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert (folder / "sub folder" / "written.dsd").read_text() == FORMATTED
    assert (folder / "canonical.dsd").read_text() == CANONICAL
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "1 file reformatted, 1 file already in canonical form\n"
    assert main([]) == 0
    assert capsys.readouterr().err == "2 files already in canonical form\n"


def test_check_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "."]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"would reformat: {os.path.join('sub folder', 'written.dsd')}\n"
    assert "1 file would be reformatted, 1 file already" in captured.err
    assert (folder / "sub folder" / "written.dsd").read_text() == WRITTEN
    assert main(["--check", "canonical.dsd"]) == 0


def test_diff_is_one_that_patch_applies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--diff", "sub folder/written.dsd"]) == 1
    difference = capsys.readouterr().out
    assert difference.startswith("--- a/sub folder/written.dsd\n+++ b/sub folder/written.dsd\n")
    (folder / "d.patch").write_text(difference)
    subprocess.run(["git", "apply", "d.patch"], check=True, cwd=folder)
    assert (folder / "sub folder" / "written.dsd").read_text() == FORMATTED
    assert main(["--diff", "canonical.dsd"]) == 0


def test_diff_in_colour(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--diff", "--color", "always", "."])
    assert "\033[32m+dense 50ep lr=8e-4\033[0m\n" in capsys.readouterr().out


def test_stdin_to_stdout(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"\xef\xbb\xbfdense 5ep;sparse .5 # \xc3\xbc\r\n")
    assert main(["-"]) == 0
    assert capfdbinary.readouterr().out == b"\xef\xbb\xbfdense 5ep\r\nsparse 50%  # \xc3\xbc\r\n"
    give(monkeypatch, b"dense 5ep;sparse .5")
    assert main(["-", "--check", "--stdin-filename", "x.dsd"]) == 1
    assert capfdbinary.readouterr().out == b"would reformat: x.dsd\n"


def test_a_broken_file_is_shown_and_the_others_are_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.dsd").write_text("dense 50ep sparse 0.5\n")
    (folder / "binary.dsd").write_bytes(b"\x00\xff\xfe")
    assert main([]) == 1
    captured = capsys.readouterr()
    assert "error[DSD102]" in captured.err
    assert "error[DSD105]" in captured.err
    assert "1 file reformatted, 1 file already in canonical form, 2 files with syntax errors" in captured.err
    assert (folder / "broken.dsd").read_text() == "dense 50ep sparse 0.5\n"
    assert (folder / "binary.dsd").read_bytes() == b"\x00\xff\xfe"


def test_mode_and_links_stay(folder: Path) -> None:
    written = folder / "sub folder" / "written.dsd"
    written.chmod(0o640)
    (folder / "link.dsd").symlink_to(written)
    assert main(["link.dsd"]) == 0
    assert (folder / "link.dsd").is_symlink()
    assert written.read_text() == FORMATTED
    assert written.stat().st_mode & 0o777 == 0o640


def test_a_failing_disk_leaves_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rewrite.os, "fsync", fail)
    assert main(["sub folder/written.dsd"]) == 2
    assert capsys.readouterr().err == "dsd-fmt: cannot write `sub folder/written.dsd`: no space left on device\n"
    assert sorted(os.listdir(folder / "sub folder")) == ["written.dsd"]
    assert (folder / "sub folder" / "written.dsd").read_text() == WRITTEN


def test_a_law_that_does_not_hold_is_our_bug_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str, **_: object) -> formatting.Formatted:
        raise formatting.LawBrokenError("formatting would lose a comment")

    monkeypatch.setattr(fmt, "formatted", refuse)
    assert main(["sub folder/written.dsd"]) == 2
    assert "internal error: LawBrokenError: formatting would lose a comment" in capsys.readouterr().err
    assert (folder / "sub folder" / "written.dsd").read_text() == WRITTEN


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chekc"], "unknown option `--chekc`"),
        (["nowhere"], "there is no file or folder `nowhere`"),
        (["-", "canonical.dsd"], "`-` (stdin) cannot be mixed with other paths"),
        (["--color", "blue", "."], "`--color` cannot be `blue`"),
    ],
)
def test_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"dsd-fmt: {said}")


def test_statements_that_share_a_suppression_stay_on_one_line(folder: Path) -> None:
    text = "dense 5ep lr=1; sparse 50%; dense lr=1; sparse 50%  # dsd: ignore[DSD303, DSD304]\n"
    (folder / "canonical.dsd").write_text(text)
    assert main(["canonical.dsd"]) == 0
    assert (folder / "canonical.dsd").read_text() == text


def test_it_starts_without_pydantic() -> None:
    """A file that is canonical already is told so without what only the proof needs."""
    code = "import sys; from dsd_lang.cli.fmt import main; main(['-']); print([m for m in sys.modules if m in HEAVY])"
    heavy = "HEAVY = ('pydantic', 'networkx', 'lark', 'torch', 'argparse', 'difflib', 'dataclasses')\n"
    done = subprocess.run(
        [sys.executable, "-c", heavy + code], input=CANONICAL, capture_output=True, text=True, check=True
    )
    assert done.stdout == CANONICAL + "[]\n"


def test_force_exclude_leaves_out_what_the_project_excludes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text('[tool.dsd]\nexclude = ["sub folder"]\n')
    assert main(["--check", "sub folder/written.dsd"]) == 1
    assert main(["--check", "--force-exclude", "sub folder/written.dsd"]) == 0
    assert main(["--check"]) == 0


def test_a_file_that_uses_another_is_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "common.dsd").write_text("let s = 50%\ndef dsd(n) {\n  sparse s n\n  dense n\n}\n", encoding="utf-8")
    schedule = tmp_path / "schedule.dsd"
    schedule.write_text('use "common.dsd"\ndense 5ep lr=1;dsd( 10ep )\nsparse lr=1 .5 2ep', encoding="utf-8")
    assert main([str(schedule)]) == 0
    canonical = 'use "common.dsd"\ndense 5ep lr=1\ndsd(10ep)\nsparse 50% 2ep lr=1\n'
    assert schedule.read_text(encoding="utf-8") == canonical
