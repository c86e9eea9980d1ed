"""Unpacks an archive member by member, safely: nothing outside the folder, and no decompression bombs.

Only regular files and folders are unpacked. Python's own tar filters can be bypassed in versions that are still in use
(CVE-2025-4517), so every path is checked here, and files are written without the archive's modes or links.
"""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import open_regular

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVE_SUFFIXES = (*TAR_SUFFIXES, ".zip")

LARGEST_GROWTH = 200
"""Times its own size that an archive may unpack to, beyond ``FREE_BYTES``; the sets the project reads stay below 25."""
FREE_BYTES = 64 << 20
LARGEST_COUNT = 5_000_000
"""Members an archive may have; ImageNet has 1.4 million."""
_UNREADABLE: tuple[type[Exception], ...] = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),  # raised by zipfile and tarfile for odd headers
)
_SPARE_DISK_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
_LARGEST_HEADER_BYTES = 1 << 20
_HEADER_EXTENSIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


class UnsafeArchive(DsdError):
    """An archive that would write outside of its folder, or unpack to far more than its size."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name in the archive, its size, and a stream limited to that size."""

    name: str
    size: int
    stream: IO[bytes]


class _Allowance:
    """How many members and bytes an archive may still have."""

    def __init__(self, archive: Path, archive_bytes: int) -> None:
        self._archive = archive
        self._bytes_left = max(FREE_BYTES, archive_bytes * LARGEST_GROWTH)
        self._members_left = LARGEST_COUNT

    def count(self, num_bytes: int) -> None:
        """Subtracts one member of that size."""
        self._members_left -= 1
        self._bytes_left -= num_bytes
        if self._members_left < 0:
            raise UnsafeArchive(f"`{self._archive}` has more than {LARGEST_COUNT:,} members", help=_UNPACK_YOURSELF)
        if self._bytes_left < 0:
            raise UnsafeArchive(
                f"`{self._archive}` unpacks to more than {LARGEST_GROWTH} times its size, as an archive made to fill "
                "the disk does",
                help=_UNPACK_YOURSELF,
            )


class _ModestTarInfo(tarfile.TarInfo):
    """A tar header whose extension (such as a long name) is not read into memory if it is longer than any name."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADER_EXTENSIONS and self.size > _LARGEST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


_UNPACK_YOURSELF = "unpack it yourself if you trust it, and give the folder"


def is_archive(path: Path) -> bool:
    """Whether the file name has the suffix of an archive that can be unpacked."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


@contextmanager
def members_of(archive: Path) -> Iterator[Iterator[Member]]:
    """The regular files of an archive, in order; each must be read before the next one is requested.

    Raises DsdError for an archive that cannot be read, and :class:`UnsafeArchive` for a member that is a link or a
    device, or whose path is outside of the folder.
    """
    try:
        with open_regular(archive) as file:
            allowance = _Allowance(archive, os.fstat(file.fileno()).st_size)
            read = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
            yield read(archive, file, allowance)
    except DsdError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(archive, error) from error


def unpack(archive: Path, target: Path) -> None:
    """Writes the archive's files to ``target`` (an empty folder); raises the errors of :func:`members_of`."""
    with members_of(archive) as members:
        for member in members:
            path = target.joinpath(*_parts(member.name))
            _require_disk(archive, target, member.size)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as written:
                shutil.copyfileobj(member.stream, written, _CHUNK_BYTES)


def _tar_members(archive: Path, file: IO[bytes], allowance: _Allowance) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r|*", tarinfo=_ModestTarInfo) as members:
        for info in members:
            allowance.count(info.size)
            _require_inside(archive, info.name)
            if info.isdir():
                continue
            stream = members.extractfile(info) if info.isreg() else None
            if stream is None:
                kind = "a link" if info.issym() or info.islnk() else "not a regular file"
                raise UnsafeArchive(f"`{archive}` has `{info.name}`, which is {kind}", help=_UNPACK_YOURSELF)
            yield Member(info.name, info.size, stream)


def _zip_members(archive: Path, file: IO[bytes], allowance: _Allowance) -> Iterator[Member]:
    with zipfile.ZipFile(file) as members:
        for info in members.infolist():
            allowance.count(info.file_size)
            _require_inside(archive, info.filename)
            if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000, 0o040000):
                raise UnsafeArchive(f"`{archive}` has `{info.filename}`, which is a link", help=_UNPACK_YOURSELF)
            if info.flag_bits & 0x1:
                raise DsdError(f"`{archive}` is encrypted", help=_UNPACK_YOURSELF)
            if not info.is_dir():
                with members.open(info) as stream:
                    yield Member(info.filename, info.file_size, stream)


def _require_inside(archive: Path, name: str) -> None:
    windows = PureWindowsPath(name)  # splits at both slashes, so that neither can lead out of the folder
    if name.startswith("/") or windows.anchor or ".." in windows.parts or "\0" in name:
        raise UnsafeArchive(
            f"`{archive}` has the unsafe member `{name}`, which would be written outside its folder",
            help=_UNPACK_YOURSELF,
        )


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _require_disk(archive: Path, target: Path, wanted: int) -> None:
    free = shutil.disk_usage(target).free
    if wanted + _SPARE_DISK_BYTES > free:
        raise DsdError(
            f"`{archive}` does not fit on the disk of `{target.parent}` ({free >> 20:,} MiB free)",
            help="make room, or choose another folder with `DSD_CACHE`",
        )


def _unreadable(archive: Path, error: Exception) -> DsdError:
    return DsdError(f"`{archive}` cannot be unpacked: {error}", help="check that the download is complete")
