"""Replaces a file atomically: after a crash it has either the new text or the old one."""

from __future__ import annotations

import os
import tempfile

from dsd_lang.base.errors import DsdError


def rewrite_file(path: str, text: str) -> None:
    """Replaces the file's text (UTF-8, line endings as in ``text``), keeping its mode and following links.

    Raises :class:`DsdError` if it cannot; the file is then unchanged.
    """
    target = os.path.realpath(path)
    temporary = ""
    try:
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "permission denied")
        handle, temporary = tempfile.mkstemp(prefix=".dsd-", dir=os.path.dirname(target))
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            os.fsync(file.fileno())
        os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise DsdError(f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from error
