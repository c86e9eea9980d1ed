"""A path in, a folder out: archives are unpacked once, safely, to a cache; folders pass through.

The cache lies in ``$DSD_CACHE`` (else ``~/.cache/dsd``), one folder for each archive, keyed by its name, size and
modification time. A half-unpacked archive is never seen: members go to a temporary folder that is renamed when whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from dsd_lang.base.errors import DsdError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVE_SUFFIXES = (*TAR_SUFFIXES, ".zip")

_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError)


def cache_folder() -> Path:
    """The folder for everything that can be made again: ``$DSD_CACHE``, else ``~/.cache/dsd``."""
    chosen = os.environ.get("DSD_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "dsd"


def is_archive(path: Path) -> bool:
    """Whether the file name ends as one of the archive kinds that can be unpacked."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def resolve_archive(path: str | Path) -> Path:
    """The folder itself, or the folder an archive (tar, tar.gz, tgz, tar.bz2, tar.xz, zip) is unpacked to.

    Raises DsdError for a path that is not there, is neither folder nor archive, is damaged, or whose members would
    land outside the folder.
    """
    source = Path(path).expanduser()
    if source.is_dir():
        return source
    if not source.is_file():
        raise DsdError(f"`{source}` does not exist", help="give a folder or an archive that is there")
    if not is_archive(source):
        raise DsdError(f"`{source}` is neither a folder nor an archive", help=f"known: {', '.join(ARCHIVE_SUFFIXES)}")
    target = cache_folder() / "archives" / _cache_name(source)
    if not target.is_dir():
        _unpack_atomically(source, target)
    return target


def _cache_name(source: Path) -> str:
    state = source.stat()
    key = f"{source.name}\0{state.st_size}\0{state.st_mtime_ns}"
    return f"{source.name.split('.')[0]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _unpack_atomically(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        _unpack(source, temporary)
        temporary.chmod(0o755)
        _rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process finished the same archive first: its folder is as good
            raise


def _unpack(source: Path, target: Path) -> None:
    try:
        if source.name.lower().endswith(".zip"):
            _unpack_zip(source, target)
        else:
            with tarfile.open(source, "r:*") as archive:
                archive.extractall(target, filter="data")
    except tarfile.FilterError as error:
        raise _unsafe(source, error.tarinfo.name) from error
    except _UNREADABLE as error:
        raise DsdError(f"`{source}` could not be unpacked: {error}", help="is the download complete?") from error


def _unpack_zip(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if not _is_inside(name):
                raise _unsafe(source, name)
        archive.extractall(target)


def _is_inside(name: str) -> bool:
    windows = PureWindowsPath(name)  # splits at both slashes, so that neither spelling can climb out
    return not (PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts)


def _unsafe(source: Path, member: str) -> DsdError:
    return DsdError(
        f"`{source}` holds the unsafe member `{member}`, which would land outside its folder",
        help="unpack it yourself if you trust it, and give the folder",
    )
