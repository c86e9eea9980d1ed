"""Which codes are looked for: defaults, the project, the command line over it, and files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.errors import DsdError
from dsd_lang.lint.codes import DEFAULT_CODES, CodeChoice, codes_of, selected_codes
from dsd_lang.lint.configuration import configuration_in

SAID = """[tool.dsd.lint]
select = ["DSD3"]
extend-select = ["DSD901"]
ignore = ["DSD305"]
per-file-ignores = { "old/" = ["DSD303"], "*.tmp.dsd" = ["ALL"], "sub/*.dsd" = ["DSD304"] }
"""
THREES = {"DSD301", "DSD302", "DSD303", "DSD304", "DSD306"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    configuration_in.cache_clear()
    (tmp_path / "pyproject.toml").write_text(SAID)
    return tmp_path


def test_words() -> None:
    assert codes_of(["DSD303"]) == codes_of(["ends-sparse"]) == codes_of(["dsd303"]) == {"DSD303"}
    assert codes_of(["DSD3,DSD401", "not-canonical"]) == {*THREES, "DSD305", "DSD401", "DSD902"}
    assert codes_of(["ALL"]) == codes_of(["DSD"]) == set(CATALOGUE)
    assert codes_of([]) == set()
    for word in ("DSD7", "sparse", "3", "DSD303x"):
        with pytest.raises(DsdError, match=f"here: unknown rule `{word}`"):
            codes_of([word], where="here: ")


def test_without_a_project(tmp_path: Path) -> None:
    configuration_in.cache_clear()
    assert selected_codes(str(tmp_path / "a.dsd")) == DEFAULT_CODES
    assert not {"DSD407", "DSD901", "DSD902"} & DEFAULT_CODES
    choice = CodeChoice(None, frozenset({"DSD901"}), frozenset({"DSD303"}))
    assert selected_codes(str(tmp_path / "a.dsd"), choice) == (DEFAULT_CODES | {"DSD901"}) - {"DSD303"}


def test_the_project_and_the_command_line_over_it(folder: Path) -> None:
    path = str(folder / "a.dsd")
    assert selected_codes(path) == {*THREES, "DSD901"}
    assert selected_codes(path, CodeChoice(frozenset({"DSD305"}))) == {"DSD305"}
    assert selected_codes(path, CodeChoice(extend_select=frozenset({"DSD305"}))) == {*THREES, "DSD305", "DSD901"}
    assert selected_codes(path, CodeChoice(ignore=frozenset({"DSD901"}))) == THREES


def test_files_of_their_own(folder: Path) -> None:
    assert selected_codes(str(folder / "old" / "deep" / "a.dsd")) == {*THREES, "DSD901"} - {"DSD303"}
    assert selected_codes(str(folder / "deep" / "a.tmp.dsd")) == set()
    assert selected_codes(str(folder / "sub" / "a.dsd")) == {*THREES, "DSD901"} - {"DSD304"}
    assert selected_codes(str(folder / "sub" / "in" / "a.dsd")) == {*THREES, "DSD901"}
    assert selected_codes(str(folder / "a.tmp.dsd"), CodeChoice(frozenset({"DSD303"}))) == set()


@pytest.mark.parametrize("key", ["select", "extend-select", "ignore"])
def test_a_rule_that_is_none_names_the_file(folder: Path, key: str) -> None:
    (folder / "pyproject.toml").write_text(f'[tool.dsd.lint]\n{key} = ["ends-spars"]\n')
    with pytest.raises(DsdError, match=f"pyproject.toml`: `{key}`: unknown rule `ends-spars`") as caught:
        selected_codes(str(folder / "a.dsd"))
    assert caught.value.help == "did you mean `ends-sparse`?"


def test_a_rule_that_is_none_for_other_files(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.dsd.lint]\nper-file-ignores = { "b.dsd" = ["x"] }\n')
    with pytest.raises(DsdError, match="`per-file-ignores`: unknown rule `x`"):
        selected_codes(str(folder / "a.dsd"))
