"""Reads a file at a git revision, for `dsd-plan --diff REVISION`."""

from __future__ import annotations

from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_lang.base.git import blob, find_repository

_HELP = "give a revision such as `HEAD~1`, or the path of another schedule"


def file_in_revision(path: Path, revision: str) -> bytes:
    """The file at a revision; raises :class:`DsdError` if git, the repository, the revision or the file is missing.

    Programs named in the repository's own configuration are not run.
    """
    folder = path.resolve().parent
    repository = find_repository(folder, revision)
    if repository is None:
        raise DsdError(
            f"there is no file `{revision}`, and `{path}` is not in a git repository, so it is not a revision either",
            help="give the path of another schedule",
        )
    if not repository.commit:
        raise DsdError(f"`{revision}` is neither a file nor a git revision", help=_HELP)
    content = blob(repository, folder, path.name)
    if content is None:
        raise DsdError(f"the revision `{revision}` has no file `{path}`", help=_HELP)
    return content
