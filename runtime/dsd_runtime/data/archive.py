"""Opens a folder or an archive as a folder; archives are unpacked once, safely, to the cache.

The cache is in ``$DSD_CACHE`` (else ``~/.cache/dsd``), with one folder for each archive, named by its content. An
archive is unpacked to a temporary folder that is renamed when it is complete.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import require_regular
from dsd_runtime.data.unpacking import ARCHIVE_SUFFIXES, is_archive, unpack
from dsd_runtime.storage.cache_folder import cache_folder
from dsd_runtime.storage.content import content_digest


def resolve_archive(path: str | Path) -> Path:
    """The folder itself, or the folder that an archive (tar, tar.gz, tgz, tar.bz2, tar.xz, zip) is unpacked to.

    Raises DsdError for a path that does not exist, that is neither folder nor archive, or for an archive that is
    damaged, has members outside of its folder, or unpacks to far more than its size.
    """
    source = Path(path).expanduser()
    if source.is_dir():
        return source
    if not source.exists():
        raise DsdError(f"`{source}` does not exist", help="give the path of an existing folder or archive")
    require_regular(source)
    if not is_archive(source):
        raise DsdError(f"`{source}` is not a folder or an archive", help=f"known: {', '.join(ARCHIVE_SUFFIXES)}")
    target = cache_folder() / "archives" / f"{source.name.split('.')[0]}-{content_digest(source)[:32]}"
    if not target.is_dir():
        _unpack_atomically(source, target)
    return target


def _unpack_atomically(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        unpack(source, temporary)
        temporary.chmod(0o755)
        _rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was faster with the same archive
            raise
