"""Downloads what the playground needs into a cache: Pyodide, wheels, the editor's packages.

Versions are ranges, so each download writes down what it resolved to, with a checksum for each file; a cached file is
used only while it has that checksum. npm and pip compare what they receive with what the registry says of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dsd_lang.base.errors import DsdError

PYODIDE = "pyodide@^314.0.0"
PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
WHEELS = ("pydantic", "networkx", "pygls")
_RESOLVED = "resolved.json"


class Downloads(NamedTuple):
    """The paths of everything: Pyodide's folder and versions, the wheels, the editor's `node_modules`."""

    pyodide: Path
    pyodide_version: str
    python: str
    wheels: tuple[Path, ...]
    node_modules: Path


def fetch_downloads(cache: Path, package: Path, project: Path, *, is_fresh: bool) -> Downloads:
    """Downloads everything that is not in the cache."""
    pyodide = cached(cache / "pyodide", PYODIDE, fetch_pyodide, is_fresh=is_fresh)
    lock = json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    requirements = tuple(item for item in _dependencies(project) if item.startswith(WHEELS))
    wanted = json.dumps([lock["python"], lock["abi_version"], *requirements])
    wheels = cached(
        cache / "wheels", wanted, lambda folder: fetch_wheels(folder, lock, requirements), is_fresh=is_fresh
    )
    editor = cached(
        cache / "editor",
        package.read_text(encoding="utf-8"),
        lambda folder: fetch_packages(folder, package),
        is_fresh=is_fresh,
    )
    version = json.loads((pyodide / "version.json").read_text(encoding="utf-8"))
    return Downloads(pyodide, version, lock["python"], tuple(sorted(wheels.glob("*.whl"))), editor / "node_modules")


def cached(folder: Path, wanted: str, fetch: Callable[[Path], None], *, is_fresh: bool) -> Path:
    """A folder that ``fetch`` fills, unless it already has what is ``wanted``, complete and unchanged."""
    if not is_fresh and _is_whole(folder, wanted):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fetch(folder)
    resolved = {"wanted": wanted, "files": {name: _digest(folder / name) for name in _files(folder)}}
    (folder / _RESOLVED).write_text(json.dumps(resolved, indent=1), encoding="utf-8")
    return folder


def _is_whole(folder: Path, wanted: str) -> bool:
    try:
        resolved = json.loads((folder / _RESOLVED).read_text(encoding="utf-8"))
        files = {name: _digest(folder / name) for name in resolved["files"]}
    except (OSError, ValueError, KeyError):  # interrupted, or damaged: fetched again
        return False
    return bool(resolved == {"wanted": wanted, "files": files})


def _files(folder: Path) -> list[str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path.relative_to(folder).as_posix() for path in paths]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch_pyodide(folder: Path) -> None:
    """The core of the newest Pyodide in range, without package index, console and type declarations."""
    found = json.loads(run(["npm", "view", PYODIDE, "version", "dist.integrity", "--json"], folder))
    newest = max(found, key=lambda one: _number(one["version"])) if isinstance(found, list) else found
    version, integrity = newest["version"], newest["dist.integrity"]
    [packed] = json.loads(run(["npm", "pack", f"pyodide@{version}", "--json"], folder))
    archive = folder / packed["filename"]
    if integrity != f"sha512-{base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()}":
        raise DsdError(f"`{archive.name}` is not what the registry says it is", help="try again with `--refresh`")
    with tarfile.open(archive) as opened:
        for name in PYODIDE_FILES:
            member = opened.extractfile(f"package/{name}")
            assert member is not None, "the files of the core are plain files"
            (folder / name).write_bytes(member.read())
    archive.unlink()
    lock = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))
    (folder / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": {}}), encoding="utf-8")
    (folder / "version.json").write_text(json.dumps(version), encoding="utf-8")


def _number(version: str) -> tuple[int, ...]:
    """A version in the range (without pre-releases) as numbers, for comparison."""
    return tuple(int(part) for part in version.split("."))


def fetch_wheels(folder: Path, lock: dict[str, str], requirements: Sequence[str]) -> None:
    """The newest wheels in range that this Pyodide can load, with their dependencies."""
    major, minor, *_ = lock["python"].split(".")
    platform = f"pyemscripten_{lock['abi_version']}_{lock['arch']}"
    target = ["--implementation", "cp", "--python-version", f"{major}.{minor}", "--abi", f"cp{major}{minor}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", "."]
    run([*command, "--only-binary", ":all:", "--platform", platform, *target, *requirements], folder)


def fetch_packages(folder: Path, package: Path) -> None:
    """The editor's packages and the bundler, by npm."""
    shutil.copy(package, folder / "package.json")
    run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"], folder)


def _dependencies(project: Path) -> list[str]:
    said = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    return [*said["dependencies"], *said["optional-dependencies"]["lsp"]]


def run(command: Sequence[str], folder: Path, node_modules: Path | None = None) -> str:
    """The output of a command; if it is missing or fails, an error with its last lines."""
    name = "pip" if "pip" in command else Path(command[0]).name
    environment = {**os.environ, **({} if node_modules is None else {"NODE_PATH": str(node_modules)})}
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environment)
    except FileNotFoundError as error:
        raise DsdError(f"`{name}` is not installed, and the playground is built with it") from error
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if "error" in line.lower()] or error.stderr.splitlines()
        raise DsdError(
            f"`{name}` cannot fetch or build the playground's parts: {(said or ['it said nothing'])[0].strip()}",
            help="this needs a network once; the documentation is whole without the playground",
        ) from error
    return done.stdout
