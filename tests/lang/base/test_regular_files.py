"""Only regular files are read: nothing hangs on a pipe, nothing reads a device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsd_lang.base.regular_files import NotRegular, open_regular, read_regular, require_regular


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"x"
    with open_regular(str(tmp_path / "a")) as file:
        assert file.read() == b"x"


def test_all_else_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path, kind in (
        (tmp_path / "pipe", "a named pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path / "link", "a device"),
        (tmp_path, "a folder"),
    ):
        for read in (read_regular, require_regular):
            with pytest.raises(NotRegular, match=f"is {kind}, not a regular file"):
                read(path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent")
