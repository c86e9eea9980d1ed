"""A git revision and a file in, the file's bytes in that revision out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError

if TYPE_CHECKING:
    from subprocess import CompletedProcess

_HELP = "give a revision such as `HEAD~1`, or the path of another schedule"


def file_in_revision(path: Path, revision: str) -> bytes:
    """The file as it was in a revision; a :class:`DsdError` when git, a repository, the revision or the file lacks."""
    folder = path.resolve().parent
    if _git(folder, "rev-parse", "--is-inside-work-tree").returncode:
        raise DsdError(
            f"there is no file `{revision}`, and `{path}` is in no git repository, so it is no revision either",
            help="give the path of another schedule",
        )
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit.returncode:
        raise DsdError(f"`{revision}` is neither a file nor a git revision", help=_HELP)
    blob = _git(folder, "cat-file", "blob", f"{commit.stdout.decode().strip()}:./{path.name}")
    if blob.returncode:
        raise DsdError(f"the revision `{revision}` has no file `{path}`", help=_HELP)
    return blob.stdout


def _git(folder: Path, *arguments: str) -> CompletedProcess[bytes]:
    import subprocess

    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError as error:
        raise DsdError(
            f"git cannot be run: {(error.strerror or str(error)).lower()}",
            help="install git, or give the path of another schedule",
        ) from error
