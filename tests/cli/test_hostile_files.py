"""Folders with things in them that are no schedules: each is a sentence, and everything else is still checked."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dsd_lang.base import files
from dsd_lang.cli import fmt, lint, plan

CLEAN = "dense 5ep lr=0.1\n"
has_unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.dsd").write_text(CLEAN)
    (tmp_path / "wrong.dsd").write_text("dense 5 lr=0.1\n")
    return tmp_path


@has_unix
@pytest.mark.parametrize("tool", [lint, fmt])
def test_what_is_no_file_hides_nothing(tool, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.dsd")
    os.symlink("nothing", "dangling.dsd")
    os.symlink("loop.dsd", "loop.dsd")
    os.symlink("user@host.123:456", ".#fine.dsd")  # an Emacs lock
    os.mkfifo(".gitignore")
    os.mkfifo("pyproject.toml")
    (folder / "folder.dsd").mkdir()
    (folder / "folder.dsd" / "inner.dsd").write_text(CLEAN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.dsd")
        assert tool.main([]) == 2
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert "wrong.dsd:1:7" in told
    for name, kind in (
        ("pipe.dsd", "a pipe"), ("dangling.dsd", "a link to nothing"), ("loop.dsd", "a link to nothing"),
        ("socket.dsd", "a socket"),
    ):  # fmt: skip
        assert f"`{name}` is {kind}, not a file" in captured.err
    assert ".#fine" not in told
    assert told.count("help: remove it") == 4
    assert "3 files" in told or "2 files already in canonical form" in told


def test_a_path_that_does_not_exist_hides_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["none.dsd", "wrong.dsd"]) == 2
    captured = capsys.readouterr()
    assert "wrong.dsd:1:7" in captured.out
    assert captured.err.startswith("dsd-lint: there is no file or folder `none.dsd`\n")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero here")
@pytest.mark.parametrize("tool", [lint, fmt, plan])
def test_what_never_ends_is_refused(tool, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["/dev/zero"]) == 2
    assert "`/dev/zero` is larger than 10 MB" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero here")
def test_layers_that_never_end_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["--layers", "/dev/zero", "fine.dsd"]) == 2
    assert "`/dev/zero` is larger than 10 MB" in capsys.readouterr().err


def test_a_huge_file_hides_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    (folder / "huge.dsd").write_text("#" * 2000)
    assert lint.main([]) == 2
    captured = capsys.readouterr()
    assert "wrong.dsd:1:7" in captured.out
    assert "`huge.dsd` is larger than" in captured.err


def test_fixes_go_on_behind_a_file_that_cannot_be_read(folder: Path, monkeypatch, capsys) -> None:
    (folder / "broken.dsd").write_text("dense 5 lr=1\n")
    read = files.read_limited

    def refuse(path: str) -> bytes:
        if path == "broken.dsd":
            raise files.unreadable(path, PermissionError(13, "Permission denied"))
        return read(path)

    monkeypatch.setattr("dsd_lang.cli.options.read_limited", refuse)
    assert lint.main(["--unsafe-fixes"]) == 2
    assert (folder / "wrong.dsd").read_text() == "dense 5ep lr=0.1\n"
    assert capsys.readouterr().err == "dsd-lint: cannot read `broken.dsd`: permission denied\n"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("format", ["full", "concise", "json", "github", "sarif", "junit"])
def test_a_name_that_is_no_text_is_shown(folder: Path, format: str, capfdbinary) -> None:
    try:
        Path(os.fsdecode(b"na\xffme.dsd")).write_text("dense 5\n")
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert lint.main(["--output-format", format]) == 1
    captured = capfdbinary.readouterr()
    assert b"na" in captured.out
    assert b"Traceback" not in captured.err


@has_unix
@pytest.mark.parametrize("name", ["plan.json", "manifest.json"])
def test_a_run_folder_with_a_pipe_for_a_file_is_not_waited_for(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run").mkdir()
    assert plan.main(["fine.dsd", "--json"]) == 0
    (folder / "run" / "plan.json").write_text(capsys.readouterr().out)
    (folder / "run" / name).unlink(missing_ok=True)
    os.mkfifo(folder / "run" / name)
    assert plan.main(["fine.dsd", "--out", "run"]) == 2
    assert f"`run/{name}` is a named pipe, not a regular file" in capsys.readouterr().err


def test_a_manifest_of_brackets_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    assert plan.main(["fine.dsd", "--json"]) == 0
    (folder / "run" / "plan.json").write_text(capsys.readouterr().out)
    (folder / "run" / "manifest.json").write_text("[" * 100_000)
    assert plan.main(["fine.dsd", "--out", "run"]) == 2
    assert "`run/manifest.json` cannot be read" in capsys.readouterr().err
