"""The hooks for users' repositories: the manifest is valid, and each hook runs a command this distribution installs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest


def test_the_manifest_names_our_commands(repository: Path) -> None:
    clientlib = pytest.importorskip("pre_commit.clientlib", reason="needs pre-commit (extra `dev`)")
    hooks = {hook["id"]: hook for hook in clientlib.load_manifest(str(repository / ".pre-commit-hooks.yaml"))}
    scripts = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(hooks) == {"dsd-lint", "dsd-fmt"}
    for name, hook in hooks.items():
        assert hook["entry"].split()[0] == name
        assert name in scripts
        assert hook["files"] == r"\.dsd$"
