"""The tree in README.md is the tree on disk."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(?P<indent> *)(?P<names>\S+(?:, \S+)*) {2,}\S")


def named_paths() -> list[str]:
    """Every path the tree names: two spaces of indent a level, names joined by `, `, then a comment."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```tree\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    folders: list[str] = []
    paths = []
    for line in block.splitlines():
        match = LINE.match(line)
        assert match, f"every line of the tree has a comment: {line!r}"
        del folders[len(match["indent"]) // 2 :]
        names = match["names"].split(", ")
        paths += ["".join(folders) + name for name in names]
        if names[-1].endswith("/"):
            folders.append(names[-1])
    return paths


PATHS = named_paths()


@pytest.mark.parametrize("path", PATHS)
def test_path_exists(path: str) -> None:
    target = REPOSITORY / path
    assert target.is_dir() if path.endswith("/") else target.is_file()


def test_each_path_is_named_once() -> None:
    assert len(PATHS) == len(set(PATHS))


def _listed_by_git() -> list[str]:
    command = ["git", "-C", str(REPOSITORY), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    return [path for path in result.stdout.splitlines() if (REPOSITORY / path).exists()]


def test_every_top_level_entry_is_named() -> None:
    top = {path.split("/")[0] + ("/" if "/" in path else "") for path in _listed_by_git()}
    assert top - set(PATHS) == set()


@pytest.mark.parametrize("package", ["dsd_lang", "runtime/dsd_runtime"])
def test_every_module_and_folder_of_a_package_is_named(package: str) -> None:
    inside = [path[len(package) + 1 :] for path in _listed_by_git() if path.startswith(package + "/")]
    entries = {f"{package}/{path.split('/')[0]}" + ("/" if "/" in path else "") for path in inside}
    boilerplate = {f"{package}/{name}" for name in ("__init__.py", "__main__.py", "py.typed")}
    assert entries - boilerplate - set(PATHS) == set()
