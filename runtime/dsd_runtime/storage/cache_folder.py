"""The cache folder for data that can be recomputed: unpacked archives, decoded images, digests of files."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$DSD_CACHE``, else ``~/.cache/dsd``; it may not exist yet."""
    chosen = os.environ.get("DSD_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "dsd"
