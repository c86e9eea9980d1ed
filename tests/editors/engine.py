"""Texts in, the scopes that VS Code's own TextMate engine gives them out; skipped with a reason where it is absent."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dsd_lang.editors.build import EXTENSION
from dsd_lang.editors.textmate import SCOPE

Token = tuple[int, int, list[str]]


def needs_node(*packages: str) -> str:
    """The path of node; skips the test where node or one of the extension's npm packages is not installed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    for package in packages:
        if not (EXTENSION / "node_modules" / package).is_dir():
            pytest.skip(f"needs the npm package {package}: run `npm install` in editors/vscode")
    return node


def tokenize(
    texts: list[str],
    *,
    scope: str = SCOPE,
    grammars: Mapping[str, Path] | None = None,
    injections: tuple[str, ...] = (),
) -> list[list[Token]]:
    """Start, end and scopes of every stretch of every text."""
    node = needs_node("vscode-textmate", "vscode-oniguruma")
    files = grammars or {SCOPE: EXTENSION / "syntaxes" / "dsd.tmLanguage.json"}
    request = {
        "texts": texts,
        "scope": scope,
        "grammars": {name: str(path) for name, path in files.items()},
        "injections": list(injections),
    }
    script = Path(__file__).with_name("tokenize.mjs")
    done = subprocess.run(
        [node, str(script), str(EXTENSION)], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[Token]] = json.loads(done.stdout)
    return answers
