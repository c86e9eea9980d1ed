"""`--fix`, `--unsafe-fixes` and `--diff`: what is written where, byte by byte, and what is left alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dsd_lang.cli.lint import main
from dsd_lang.lint.configuration import configuration_in

UNUSED = "dense 5ep lr=0.1  # dsd: ignore[DSD303]\n"
BARE = "dense 5 lr=0.1\n"
BOTH = "dense 5 lr=0.1\n// a comment\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "DSD_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    configuration_in.cache_clear()
    return tmp_path


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_safe_fixes_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(UNUSED)
    assert main(["a.dsd"]) == 1
    assert capsys.readouterr().out.endswith("1 warning in 1 file\n1 fixable with --fix\n")
    assert main(["a.dsd", "--fix"]) == 0
    assert Path("a.dsd").read_text() == "dense 5ep lr=0.1\n"
    assert capsys.readouterr().out == "1 file checked, 1 fixed, no problems left\n"


def test_unsafe_ones_only_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(BOTH)
    assert main(["a.dsd"]) == 1
    assert capsys.readouterr().out.endswith("2 errors in 1 file\n1 fixable with --fix, 1 more with --unsafe-fixes\n")
    assert main(["a.dsd", "--fix"]) == 1
    assert Path("a.dsd").read_text() == "dense 5 lr=0.1\n# a comment\n"
    assert capsys.readouterr().out.endswith("1 error left in 1 file, 1 fixed\n1 fixable with --unsafe-fixes\n")
    assert main(["a.dsd", "--unsafe-fixes"]) == 0
    assert Path("a.dsd").read_text() == "dense 5ep lr=0.1\n# a comment\n"


def test_what_does_not_change_is_not_touched() -> None:
    Path("a.dsd").write_text(BARE)
    os.utime("a.dsd", (1, 1))
    assert main(["a.dsd", "--fix"]) == 1
    assert os.stat("a.dsd").st_mtime == 1


def test_only_selected_rules_are_fixed() -> None:
    Path("a.dsd").write_text(BOTH)
    assert main(["a.dsd", "--unsafe-fixes", "--select", "DSD402"]) == 1
    assert Path("a.dsd").read_text() == "dense 5ep lr=0.1\n// a comment\n"


def test_line_ends_mark_and_mode_stay(folder: Path) -> None:
    Path("a.dsd").write_bytes(b"\xef\xbb\xbf" + UNUSED.replace("\n", "\r\n").encode() + b"sparse 50%\r\n")
    os.chmod("a.dsd", 0o640)
    assert main(["a.dsd", "--unsafe-fixes"]) == 0
    assert Path("a.dsd").read_bytes() == b"\xef\xbb\xbfdense 5ep lr=0.1\r\nsparse 50%\r\ndense\r\n"
    assert stat.S_IMODE(os.stat("a.dsd").st_mode) == 0o640
    assert os.listdir(folder) == ["a.dsd"]


def test_a_link_stays_a_link() -> None:
    Path("real.dsd").write_text(UNUSED)
    Path("a.dsd").symlink_to("real.dsd")
    assert main(["a.dsd", "--fix"]) == 0
    assert Path("a.dsd").is_symlink()
    assert Path("real.dsd").read_text() == "dense 5ep lr=0.1\n"


def test_stdin_goes_to_stdout_and_what_is_left_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for arguments, text, expected, status in (
        (["--fix"], UNUSED, "dense 5ep lr=0.1\n", 0),
        (["--fix"], BOTH, "dense 5 lr=0.1\n# a comment\n", 1),
        (["--fix", "--output-format", "json"], BARE, BARE, 1),
        (["--unsafe-fixes"], BOTH.replace("\n", "\r\n"), "dense 5ep lr=0.1\r\n# a comment\r\n", 0),
    ):
        stdin(monkeypatch, text.encode())
        assert main(["-", *arguments]) == status
        captured = capfdbinary.readouterr()
        assert captured.out == expected.encode()
        assert (b"DSD402" in captured.err) == (status == 1)


def test_stdin_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stdin(monkeypatch, b"dense 5 # \xff\n")
    assert main(["-", "--unsafe-fixes"]) == 2
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert (
        captured.err == b"dsd-lint: stdin is not UTF-8 text, so nothing was fixed\n  = help: save the file as UTF-8\n"
    )


@pytest.mark.parametrize("data", [b"dense 5 lr=0.1 # caf\xe9\n", b"dense 5 lr=0.1\n\x00\n"])
def test_bytes_that_are_no_text_are_never_rewritten(data: bytes) -> None:
    Path("a.dsd").write_bytes(data)
    assert main(["a.dsd", "--unsafe-fixes"]) == 1
    assert Path("a.dsd").read_bytes() == data


def test_diff_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(BOTH)
    assert main(["a.dsd", "--diff"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "--- a/a.dsd\n+++ b/a.dsd\n@@ -1,2 +1,2 @@\n dense 5 lr=0.1\n-// a comment\n+# a comment\n"
    assert captured.err == "1 would be fixed in 1 file\n"
    assert main(["a.dsd", "--diff", "--unsafe-fixes", "--fix", "--exit-zero", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert "+dense 5ep lr=0.1\n" in captured.out
    assert captured.err == ""
    assert Path("a.dsd").read_text() == BOTH


def test_diff_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(BARE)
    assert main(["a.dsd", "--diff"]) == 0  # an error that only an unsafe fix would mend
    assert capsys.readouterr() == ("", "nothing to fix\n")


def test_a_diff_has_colours_on_demand_and_never_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(BOTH)
    assert main(["a.dsd", "--diff", "--color", "always"]) == 1
    assert "\033[32m+# a comment\033[0m" in capsys.readouterr().out
    assert main(["a.dsd", "--diff", "--output-file", "change.patch"]) == 1
    assert capsys.readouterr().out == ""
    assert Path("change.patch").read_text().startswith("--- a/a.dsd\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_applies_the_diff(capsys: pytest.CaptureFixture[str]) -> None:
    text = "dense 5 lr=0.1\n// a\fcomment\u2028\nsparse 50 5ep"
    Path("a.dsd").write_text(text)
    assert main(["a.dsd", "--diff", "--unsafe-fixes"]) == 1
    subprocess.run(["git", "apply", "-"], input=capsys.readouterr().out, text=True, check=True)
    by_patch = Path("a.dsd").read_bytes()
    Path("a.dsd").write_text(text)
    assert main(["a.dsd", "--unsafe-fixes"]) == 0
    assert Path("a.dsd").read_bytes() == by_patch


def test_machine_formats_after_fixing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(BOTH)
    assert main(["a.dsd", "--fix", "--output-format", "json"]) == 1
    assert [item["code"] for item in json.loads(capsys.readouterr().out)["diagnostics"]] == ["DSD402"]


def test_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.dsd", "b.dsd", "c.dsd"):
        Path(name).write_text(UNUSED if name != "b.dsd" else BARE)
    assert main(["--fix"]) == 1
    assert capsys.readouterr().out.endswith("1 error left in 3 files, 2 fixed\n1 fixable with --unsafe-fixes\n")
    assert Path("c.dsd").read_text() == "dense 5ep lr=0.1\n"


def test_a_file_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(UNUSED)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert main(["a.dsd", "--fix"]) == 2
    assert capsys.readouterr().err == "dsd-lint: cannot write `a.dsd`: permission denied\n"
    assert Path("a.dsd").read_text() == UNUSED
    assert os.listdir() == ["a.dsd"]


def test_a_safe_fix_that_lies_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text(UNUSED)
    monkeypatch.setattr("dsd_lang.lint.fixes.keeps_meaning", lambda before, after, source=None: False)
    assert main(["a.dsd", "--fix"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("dsd-lint: `a.dsd`: internal error: the fix of DSD903 on line 1 calls itself safe")
    assert Path("a.dsd").read_text() == UNUSED
