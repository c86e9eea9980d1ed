"""Which files a folder gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_lang.lint.project import find_schedules, matches

IGNORED = """# build output
*.tmp.dsd
/top.dsd
build/
!keep.tmp.dsd
deep/**/x.dsd
notes/*.dsd
a[0-9].dsd
"""
FILES = (
    "a.dsd", "a1.dsd", "top.dsd", "sub/top.dsd", "x.tmp.dsd", "keep.tmp.dsd", "build/b.dsd", "sub/build/c.dsd",
    "deep/x.dsd", "deep/er/est/x.dsd", "deep/y.dsd", "notes/n.dsd", "notes/in/n.dsd", "sub/notes/n.dsd", "readme.txt",
    ".hidden/h.dsd",
)  # fmt: skip


def lay_out(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text(IGNORED)
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (folder / "sub" / ".gitignore").write_text("!top.dsd\n")


def test_gitignore(tmp_path: Path) -> None:
    lay_out(tmp_path)
    found = [os.path.relpath(path, tmp_path) for path in find_schedules([str(tmp_path)], problems=[])]
    assert found == [
        "a.dsd", "keep.tmp.dsd", "deep/y.dsd", "notes/in/n.dsd", "sub/top.dsd", "sub/notes/n.dsd",
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_agrees(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / ".git").rmdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    names = [name for name in FILES if name.endswith(".dsd") and not name.startswith(".")]
    checked = subprocess.run(
        ["git", "check-ignore", "--stdin"], cwd=tmp_path, input="\n".join(names), capture_output=True, text=True
    )
    kept = set(names) - set(checked.stdout.split())
    assert {os.path.relpath(path, tmp_path) for path in find_schedules([str(tmp_path)], problems=[])} == kept


def test_a_repository_above_counts(tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert find_schedules([str(tmp_path / "notes")], problems=[]) == [str(tmp_path / "notes" / "in" / "n.dsd")]


def test_a_path_given_by_hand_is_read(tmp_path: Path) -> None:
    lay_out(tmp_path)
    path = str(tmp_path / "top.dsd")
    assert find_schedules([path, path], problems=[]) == [path]
    problems: list[DsdError] = []
    assert find_schedules([str(tmp_path / "none"), path], problems=problems) == [path]
    assert "there is no file or folder" in problems[0].message


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    problems: list[DsdError] = []
    assert find_schedules([str(tmp_path)], problems=problems) == []
    assert [problem.message for problem in problems] == [
        f"cannot read the folder `{tmp_path / 'closed'}`: permission denied"
    ]


@pytest.mark.parametrize(
    ("glob", "path", "is_matched"),
    [
        ("old", "old/a.dsd", True), ("old/", "sub/old/in/a.dsd", True), ("/old", "sub/old/a.dsd", False),
        ("*.tmp.dsd", "sub/a.tmp.dsd", True), ("sub/*.dsd", "sub/a.dsd", True), ("sub/*.dsd", "sub/in/a.dsd", False),
        ("sub/**", "sub/in/a.dsd", True), ("old", "older/a.dsd", False), ("a.dsd", "../a.dsd", False),
    ],
)  # fmt: skip
def test_globs_of_the_configuration(tmp_path: Path, glob: str, path: str, is_matched: bool) -> None:
    assert matches(glob, str(tmp_path), str(tmp_path / path)) is is_matched


def test_many_stars_take_no_time(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*a" * 20 + "*b.dsd\n")
    (tmp_path / ("a" * 200 + ".dsd")).write_text("")
    (tmp_path / ("a" * 200 + "b.dsd")).write_text("")
    started = time.process_time()
    assert [Path(path).name for path in find_schedules([str(tmp_path)], problems=[])] == ["a" * 200 + ".dsd"]
    assert time.process_time() - started < 2
