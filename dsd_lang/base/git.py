"""Runs git without applying a repository's own configuration or attributes, which could name programs to run.

A repository's configuration can name programs (a file system monitor, hooks, filters, transports for missing objects).
A schedule's folder may come from anyone, so its objects and index are read through a temporary git folder that has no
configuration. The user's own configuration outside the repository still applies.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

_QUIET = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.pager=cat"),
    *("-c", "safe.bareRepository=explicit"),
    *("--no-pager", "--no-replace-objects", "--literal-pathspecs"),
)
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OF_ANOTHER_REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in (
        *("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES"),
        *("NAMESPACE", "PREFIX", "SHALLOW_FILE", "GRAFT_FILE", "REPLACE_REF_BASE", "EXTERNAL_DIFF"),
    )
)
_TIMEOUT_SECONDS = 20
_SHA256_DIGITS = 64


class Repository(NamedTuple):
    """The paths of a repository: its working tree, its git folder, the folder with the objects, and the commit."""

    top: str
    git: str
    common: str
    commit: str


def find_repository(folder: Path, revision: str = "HEAD") -> Repository | None:
    """The repository of a folder at a revision; its commit is empty if there is no such revision.

    None outside of a repository. Raises :class:`DsdError` if git cannot be run.
    """
    asked = ("--path-format=absolute", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    answers = _git(folder, "rev-parse", *asked)
    lines = answers.stdout.decode(errors="surrogateescape").splitlines()
    if answers.returncode or len(lines) != 3:
        return None
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    top, git, common = lines
    return Repository(top, git, common, commit.stdout.decode().strip() if commit.returncode == 0 else "")


def blob(repository: Repository, folder: Path, name: str) -> bytes | None:
    """A file of the repository at the commit; ``name`` is relative to ``folder``. None if it does not exist."""
    found = _isolated(repository, folder, "cat-file", "blob", f"{repository.commit}:./{name}")
    return found.stdout if found.returncode == 0 else None


def has_changes(repository: Repository) -> bool | None:
    """Whether the working tree differs from the commit or has new files; None if git cannot tell."""
    told = _isolated(repository, repository.top, "status", "--porcelain", "--ignore-submodules=all")
    return bool(told.stdout.strip()) if told.returncode == 0 else None


def _isolated(repository: Repository, folder: Path | str, *arguments: str) -> CompletedProcess[bytes]:
    """Runs git on the repository's objects and index, with a git folder that has none of its configuration."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="dsd-git-") as git_folder:
        for name in ("objects", "refs", "info"):
            os.mkdir(os.path.join(git_folder, name))
        _write(git_folder, "HEAD", f"{repository.commit}\n".encode())
        _write(git_folder, "config", _configuration(repository.commit))
        for name in ("index", os.path.join("info", "exclude")):
            _copy(os.path.join(repository.git if name == "index" else repository.common, name), git_folder, name)
        environment = {
            "GIT_DIR": git_folder,
            "GIT_WORK_TREE": repository.top,
            "GIT_OBJECT_DIRECTORY": os.path.join(repository.common, "objects"),
        }
        return _git(folder, *arguments, environment=environment)


def _configuration(commit: str) -> bytes:
    if len(commit) == _SHA256_DIGITS:
        return b"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
    return b"[core]\n\trepositoryformatversion = 0\n"


def _write(git_folder: str, name: str, content: bytes) -> None:
    with open(os.path.join(git_folder, name), "wb") as file:
        file.write(content)


def _copy(source: str, git_folder: str, name: str) -> None:
    """Copies a file of the repository into the temporary git folder, if it exists and is a regular file."""
    try:
        content = read_regular(source)
    except (OSError, DsdError):
        return
    _write(git_folder, name, content)


def _git(folder: Path | str, *arguments: str, environment: Mapping[str, str] | None = None) -> CompletedProcess[bytes]:
    import subprocess

    program = shutil.which("git")
    if program is None:
        raise DsdError("git cannot be run: no program `git` is on the PATH", help="install git")
    own = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        return subprocess.run(
            [program, "-C", str(folder), *_QUIET, *arguments],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            env={**own, **_ENVIRONMENT, **(environment or {})},
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DsdError(f"git cannot be run: {reason}") from error
