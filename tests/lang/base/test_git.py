"""A repository is read without running what its own configuration names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_lang.base.git import blob, find_repository, has_changes


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.dsd").write_text("dense 1ep lr=0.1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_changes_and_contents(repository: Path) -> None:
    found = find_repository(repository)
    assert found is not None
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert has_changes(found) is False
    (repository / "a.dsd").write_text("dense 2ep lr=0.1\n")
    assert has_changes(found) is True
    assert blob(found, repository, "a.dsd") == b"dense 1ep lr=0.1\n"
    assert blob(found, repository, "b.dsd") is None
    git(repository, "commit", "-q", "-a", "-m", "second")
    (repository / "b.dsd").write_text("")
    found = find_repository(repository)
    assert found is not None
    assert has_changes(found) is True  # a new file


def test_an_ignored_file_and_a_linked_working_tree_are_no_changes(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    (repository / ".git" / "info" / "exclude").write_text("runs/\n")
    for folder in (repository, tmp_path / "other"):
        (folder / "runs").mkdir()
        (folder / "runs" / "plan.json").write_text("{}")
        found = find_repository(folder)
        assert found is not None
        assert has_changes(found) is False


def test_no_repository_no_revision(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    assert find_repository(tmp_path / "elsewhere") is None
    found = find_repository(repository, "nowhere")
    assert found is not None
    assert found.commit == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DsdError, match="git cannot be run"):
        find_repository(repository)


def test_no_program_of_the_repository_is_run(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {marker}\ncat 2>/dev/null\nexit 0\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.dsd filter=evil diff=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "attributes")
    for key in ("core.fsmonitor", "core.pager", "filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv",
                "diff.external", "core.sshCommand", "core.editor", "core.askPass", "alias.status"):  # fmt: skip
        git(repository, "config", key, str(program) if not key.startswith("alias") else f"!{program}")
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (repository / ".git" / "hooks" / hook).write_text(program.read_text())
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    os.utime(repository / "a.dsd", ns=(1, 1))  # git must look into the file to know that it is the same
    marker.unlink(missing_ok=True)
    found = find_repository(repository)
    assert found is not None
    assert has_changes(found) is False
    assert blob(found, repository, "a.dsd") == b"dense 1ep lr=0.1\n"
    assert not marker.exists()
    git(repository, "status")
    assert marker.exists()  # the trap does work: git itself steps into it


def test_a_missing_object_is_not_fetched(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    program = tmp_path / "upload-pack"
    program.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    program.chmod(0o755)
    head = git(repository, "rev-parse", "HEAD")
    for key, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", str(tmp_path)),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", str(program)),
    ):
        git(repository, "config", key, value)
    for path in (repository / ".git" / "objects").glob("??/*"):
        path.unlink()
    for revision in ("HEAD", head[:20]):
        find_repository(repository, revision)
    assert not marker.exists()
    subprocess.run(["git", "-C", str(repository), "cat-file", "-p", head], capture_output=True, check=False)
    assert marker.exists()
