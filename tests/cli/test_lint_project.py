"""The linter in a project: its `pyproject.toml`, what is excluded, and the command line over both."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from dsd_lang.cli.lint import main
from dsd_lang.lint.configuration import configuration_in

ENDS_SPARSE = "dense 5ep lr=0.1\nsparse 50%\n"
LAYERS = {"layers": [{"name": "a", "kind": "fc", "weights": [{"name": "a.weight", "shape": [2, 2]}]}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "DSD_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "old").mkdir()
    for name in ("a.dsd", "old/b.dsd"):
        (tmp_path / name).write_text(ENDS_SPARSE)
    configuration_in.cache_clear()
    return tmp_path


def say(text: str, where: str = "pyproject.toml") -> None:
    Path(where).write_text(text)
    configuration_in.cache_clear()


def concise(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The files and codes of a run."""
    main([*arguments, "--output-format", "concise", "--quiet"])
    return [f"{line.split(':')[0]} {line.split(' ')[1]}" for line in capsys.readouterr().out.splitlines()]


def test_rules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert concise(capsys) == ["a.dsd DSD303", "old/b.dsd DSD303"]
    say('[tool.dsd.lint]\nignore = ["ends-sparse"]\n')
    assert concise(capsys) == []
    assert concise(capsys, "--select", "DSD3") == ["a.dsd DSD303", "old/b.dsd DSD303"]
    say('[tool.dsd.lint]\nper-file-ignores = { "old/*" = ["DSD3"] }\n')
    assert concise(capsys) == ["a.dsd DSD303"]
    assert concise(capsys, "old/b.dsd", str(folder / "a.dsd")) == [f"{folder / 'a.dsd'} DSD303"]


def test_each_file_has_the_closest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say('[tool.dsd.lint]\nignore = ["DSD3"]\n')
    say('[tool.dsd.lint]\nextend-select = ["paper-range"]\n', "old/pyproject.toml")
    assert concise(capsys) == ["old/b.dsd DSD303"]


def test_excluded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say('[tool.dsd]\nexclude = ["old"]\n')
    assert concise(capsys) == ["a.dsd DSD303"]
    assert concise(capsys, "old/b.dsd") == ["old/b.dsd DSD303"]
    assert concise(capsys, "a.dsd", "old/b.dsd", "--force-exclude") == ["a.dsd DSD303"]
    assert concise(capsys, "old", "--force-exclude") == []
    say('[tool.dsd]\nexclude = ["**/b.dsd", "!old/b.dsd"]\n')
    assert concise(capsys) == ["a.dsd DSD303", "old/b.dsd DSD303"]


def test_what_git_ignores_is_excluded_by_force_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".git").mkdir()
    Path(".gitignore").write_text("old/\n")
    assert concise(capsys, "old/b.dsd", "a.dsd") == ["old/b.dsd DSD303", "a.dsd DSD303"]
    assert concise(capsys, "old/b.dsd", "a.dsd", "--force-exclude") == ["a.dsd DSD303"]


def test_stdin_stands_for_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    say('[tool.dsd]\nexclude = ["old"]\n[tool.dsd.lint]\nper-file-ignores = { "a.dsd" = ["DSD303"] }\n')
    for arguments, status, out in (
        (["--stdin-filename", "a.dsd"], 0, b""),
        (["--stdin-filename", "c.dsd"], 1, b"c.dsd:2:1: DSD303"),
        (["--stdin-filename", "old/c.dsd"], 1, b"old/c.dsd:2:1"),
        (["--stdin-filename", "old/c.dsd", "--force-exclude"], 0, b""),
        (["--stdin-filename", "old/c.dsd", "--force-exclude", "--unsafe-fixes"], 0, ENDS_SPARSE.encode()),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ENDS_SPARSE.encode())))
        assert main(["-", *arguments, "--output-format", "concise", "--quiet"]) == status
        assert capfdbinary.readouterr().out.startswith(out)


def test_output_format(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say('[tool.dsd]\noutput-format = "json"\ndocs-url = "https://example.org"\n')
    assert main(["a.dsd"]) == 1
    found = json.loads(capsys.readouterr().out)["diagnostics"]
    assert found[0]["url"] == "https://example.org/rules/ends-sparse/"
    monkeypatch.setenv("DSD_OUTPUT_FORMAT", "github")
    assert main(["a.dsd"]) == 1
    assert capsys.readouterr().out.startswith("::warning ")
    assert main(["a.dsd", "--output-format", "concise"]) == 1
    assert capsys.readouterr().out.startswith("a.dsd:2:1: ")


def test_layers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("old/layers.json").write_text(json.dumps(LAYERS))
    Path("a.dsd").write_text("dense 5ep lr=0.1\nsparse 50% layers=lstm\ndense\n")
    say('[tool.dsd]\nlayers = "old/layers.json"\n')
    assert concise(capsys, "a.dsd") == ["a.dsd DSD201"]
    Path("other.json").write_text(json.dumps(LAYERS).replace('"fc"', '"lstm"'))
    assert concise(capsys, "a.dsd", "--layers", "other.json") == []


def test_a_wrong_one_ends_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, message in (
        ("[tool.dsd.lint]\nselct = []\n", "has no key `selct`"),
        ('[tool.dsd.lint]\nselect = ["DSD77"]\n', "`select`: unknown rule `DSD77`"),
        ('[tool.dsd]\noutput-format = "xml"\n', "unknown output format `xml`"),
        ("[tool.dsd\n", "is not a TOML file"),
    ):
        say(text)
        assert main(["a.dsd"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
        assert captured.err.count("\n") <= 2
        assert "Traceback" not in captured.err


def test_a_suppression_of_what_was_not_looked_for_is_not_unused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.dsd").write_text("dense 5ep lr=0.1  # dsd: ignore[DSD304]\n")
    assert concise(capsys, "a.dsd") == ["a.dsd DSD903"]
    assert concise(capsys, "a.dsd", "--ignore", "DSD304") == []
