"""`[tool.dsd]` and `[tool.dsd.lint]`: where they are found, what they may say, and what a wrong one says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_lang.lint.configuration import NOTHING_SAID, Configuration, configuration_in, configuration_of

WHOLE = """
[project]
name = "x"

[tool.dsd]
exclude = ["old/", "*.tmp.dsd"]
output-format = "concise"
model = "ds2"
docs-url = "https://example.org/"

[tool.dsd.lint]
select = ["DSD3"]
extend-select = ["DSD901"]
ignore = ["ends-sparse"]
per-file-ignores = { "a/*.dsd" = ["DSD304", "DSD305"] }
"""


@pytest.fixture(autouse=True)
def fresh() -> None:
    configuration_in.cache_clear()


def said(folder: Path, text: str) -> Configuration:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    configuration_in.cache_clear()
    return configuration_of(str(folder / "a.dsd"))


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    assert said(tmp_path, WHOLE) == Configuration(
        str(tmp_path / "pyproject.toml"),
        select=("DSD3",),
        ignore=("ends-sparse",),
        extend_select=("DSD901",),
        per_file_ignores=(("a/*.dsd", ("DSD304", "DSD305")),),
        exclude=("old/", "*.tmp.dsd"),
        output_format="concise",
        model="ds2",
        docs_url="https://example.org/",
    )


def test_the_closest_that_says_something_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    inner = tmp_path / "in" / "ner"
    inner.mkdir(parents=True)
    (tmp_path / "in" / "pyproject.toml").write_text('[project]\nname = "y"\ndependencies = ["dsd-lang"]\n')
    assert configuration_of(str(inner / "a.dsd")).select == ("DSD3",)
    (tmp_path / "in" / "pyproject.toml").write_text('[tool.dsd.lint]\nignore = ["DSD1"]\n')
    configuration_in.cache_clear()
    found = configuration_of(str(inner / "a.dsd"))
    assert (found.select, found.ignore, found.exclude) == (None, ("DSD1",), ())
    assert found.folder == str(tmp_path / "in")


def test_nothing_said(tmp_path: Path) -> None:
    assert said(tmp_path, "") is NOTHING_SAID
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "pyproject.toml").mkdir()
    configuration_in.cache_clear()
    assert configuration_in(str(tmp_path)) is NOTHING_SAID


@pytest.mark.parametrize(
    "text",
    [
        '[tool]\ndsd.lint.select = ["DSD3"]\n',
        '[tool . "dsd".lint]\nselect = ["DSD3"]\n',
        'tool.dsd.lint.select = ["DSD3"]\n',
        'tool = { dsd = { lint = { select = ["DSD3"] } } }\n',
    ],
)
def test_other_ways_of_writing_it(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text).select == ("DSD3",)


def test_the_layers_file_is_relative_to_the_project(tmp_path: Path) -> None:
    assert said(tmp_path, '[tool.dsd]\nlayers = "nets/ds2.json"\n').layers == str(tmp_path / "nets" / "ds2.json")


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("[tool.dsd.lint]\nselct = []", "`[tool.dsd.lint]` has no key `selct`", "did you mean `select`?"),
        ("[tool.dsd.lint]\nextend_select = []", "has no key `extend_select`", "did you mean `extend-select`?"),
        ("[tool.dsd]\nselect = []", "`[tool.dsd]` has no key `select`", "`select` belongs to `[tool.dsd.lint]`"),
        ("[tool.dsd]\nzzz = 1", "has no key `zzz`", "expected one of exclude, output-format, model, layers, docs-url"),
        (
            '[tool.dsd.lint]\nselect = "DSD3"',
            "`select` in `[tool.dsd.lint]` must be a list of strings",
            'select = ["...',
        ),
        ("[tool.dsd.lint]\nignore = [3]", "must be a list of strings", "ignore = "),
        ("[tool.dsd]\nmodel = 3", "`model` in `[tool.dsd]` must be a text", 'write it as `model = "..."`'),
        ("[tool.dsd.lint]\nper-file-ignores = []", "must be a table of lists of strings", "per-file-ignores = {"),
        ('[tool.dsd.lint]\nper-file-ignores = { "a" = "DSD3" }', "must be a table of lists of strings", "old/*.dsd"),
        ("[tool]\ndsd = 3", "`tool.dsd` must be a table", "write `[tool.dsd]`"),
        ("[tool.dsd]\nlint = 3", "`tool.dsd.lint` must be a table", "write `[tool.dsd.lint]`"),
        ('[tool.dsd]\nmodel = "a"\nlayers = "b"', "`layers` and `model` cannot be used together", "keep one of them"),
        ("[tool.dsd]\nmodel = ", "is not a TOML file: ", "`[tool.dsd]` is read from it"),
    ],
)
def test_what_a_wrong_one_says(tmp_path: Path, text: str, message: str, help: str) -> None:
    with pytest.raises(DsdError) as caught:
        said(tmp_path, text)
    assert caught.value.message.startswith(f"`{tmp_path / 'pyproject.toml'}`")
    assert message in caught.value.message
    assert help in (caught.value.help or "")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.dsd]\nmodel = '\xff'\n")
    with pytest.raises(DsdError, match="is not a TOML file"):
        configuration_of(str(tmp_path / "a.dsd"))


def test_a_broken_file_of_others_is_not_read(tmp_path: Path) -> None:
    assert said(tmp_path, '[project\ndependencies = ["dsd-lang"') is NOTHING_SAID


def test_toml_is_imported_only_for_those_who_use_it(tmp_path: Path) -> None:
    (tmp_path / "a.dsd").write_text("dense 5ep lr=1\n")
    program = (
        "import sys; from dsd_lang.cli.lint import main; main(['a.dsd']); print('tomllib' in sys.modules, "
        "[m for m in ('pydantic', 'argparse', 'dataclasses', 'inspect', 'tempfile', 'difflib') if m in sys.modules])"
    )
    for text, expected in (('[project]\nname = "dsd-user"\n', "False []"), ("[tool.dsd]\n", "True []")):
        (tmp_path / "pyproject.toml").write_text(text)
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == expected
