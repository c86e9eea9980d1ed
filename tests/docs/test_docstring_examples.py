"""The examples in docstrings run and give the documented output."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = {"dsd_lang": REPOSITORY / "dsd_lang", "dsd_runtime": REPOSITORY / "runtime" / "dsd_runtime"}
NEEDS = {"dsd_runtime": "torch", "dsd_lang.lsp": "pygls", "dsd_lang.editors.pygments_lexer": "pygments"}


def modules_with_examples() -> list[str]:
    """The name of every module whose source has a doctest."""
    names = []
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
                parts = path.relative_to(folder).with_suffix("").parts
                names.append(".".join((package, *parts)).removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_a_module_run(name: str) -> None:
    for prefix, package in NEEDS.items():
        if name.startswith(prefix) and find_spec(package) is None:
            pytest.skip(f"needs {package}")
    outcome = doctest.testmod(import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0
