"""Builds the playground into a built documentation site.

    mkdocs build && python tools/build_playground.py --site site

Pyodide and the editor come through npm, the wheels through pip, into a cache folder; nothing of them is kept in the
tree. What the cache has is used again after its checksums are compared; `--refresh` asks the registries anew. Without
npm, pip or a network the tool says so in a sentence and exits with 2; the page then says that there is no playground.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from playground_downloads import PYODIDE_FILES, Downloads, fetch_downloads
from playground_parts import bundle_editor, examples, language_archive, write_json

from dsd_lang import __version__
from dsd_lang.base.errors import DsdError

REPOSITORY = Path(__file__).resolve().parents[1]
APP = REPOSITORY / "docs" / "playground" / "app"
PART_OF_WHEEL = {"networkx": "graph", "pygls": "words", "lsprotocol": "words", "attrs": "words", "cattrs": "words"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    parser = argparse.ArgumentParser(description="Put the playground into a built documentation site.")
    parser.add_argument("--site", type=Path, default=REPOSITORY / "site", help="the built site (default: site)")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where downloads are kept")
    parser.add_argument("--refresh", action="store_true", help="ask the registries even for what the cache has")
    given = parser.parse_args(arguments)
    try:
        target = build(given.site, given.cache, is_fresh=given.refresh)
    except DsdError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(f"playground: {target}, {size / 1e6:.1f} MB\n")
    return 0


def default_cache() -> Path:
    """`DSD_PLAYGROUND_CACHE`, else a folder in the user's cache."""
    named = os.environ.get("DSD_PLAYGROUND_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "dsd-playground"


def build(site: Path, cache: Path, *, is_fresh: bool = False) -> Path:
    """Fills `playground/assets` of a site; returns that folder."""
    page = site / "playground"
    if not (page / "index.html").is_file():
        raise DsdError(f"`{site}` has no playground page", help="build the site first: `mkdocs build`")
    downloads = fetch_downloads(cache, APP / "package.json", REPOSITORY / "pyproject.toml", is_fresh=is_fresh)
    target = page / "assets"
    shutil.rmtree(target, ignore_errors=True)
    copy([downloads.pyodide / name for name in PYODIDE_FILES], target / "pyodide")
    copy(downloads.wheels, target / "wheels")
    copy([APP / "worker.js", APP / "playground.css"], target)
    (target / "language.zip").write_bytes(language_archive(REPOSITORY))
    write_json(target / "examples.json", examples(REPOSITORY))
    bundle_editor(APP, downloads.node_modules, target / "playground.js")
    write_json(target / "manifest.json", manifest(target, downloads))
    return target


def copy(files: Iterable[Path], folder: Path) -> None:
    """Copies files into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copy(path, folder)


def manifest(target: Path, downloads: Downloads) -> dict[str, object]:
    """What the worker loads for each part, and the versions shown on the page; the stamp invalidates browser caches."""
    parts = {"language": ["language.zip"], "plan": [], "graph": [], "words": []}
    for path in downloads.wheels:
        package = path.name.split("-")[0].replace("_", "-")
        parts[PART_OF_WHEEL.get(package, "plan")].append(f"wheels/{path.name}")
    files = sorted(path for path in target.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files))
    versions = {"dsd": __version__, "python": downloads.python, "pyodide": downloads.pyodide_version}
    return {**versions, "parts": parts, "stamp": digest.hexdigest()[:12]}


if __name__ == "__main__":
    sys.exit(main())
