"""`use` and `--set` from the command line: paths, both places of a mistake, values of names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsd_lang.cli import fmt, lint, plan

COMMON = "def pair(s) {\n  sparse s 2ep\n  dense\n}\n"
MAIN = 'use "parts/common.dsd"\nlet s = 50%\ndense 2ep lr=0.1\npair(s)\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "parts").mkdir(parents=True)
    (tmp_path / "a" / "parts" / "common.dsd").write_text(COMMON)
    (tmp_path / "a" / "main.dsd").write_text(MAIN)
    return tmp_path


def test_a_used_file_is_found_beside_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["a"]) == 0
    assert fmt.main(["--check", "a"]) == 0
    assert plan.main(["a/main.dsd"]) == 0
    assert "50%" in capsys.readouterr().out


def test_set_gives_a_name_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["a/main.dsd", "--set", "s=80%", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["overrides"], data["phases"][1]["target"]["pruned"]) == ({"s": "80%"}, "0.8")
    assert plan.main(["a/main.dsd", "--set", "t=80%"]) == 2
    assert "this schedule has `s`" in capsys.readouterr().err


def test_a_mistake_names_both_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a" / "main.dsd").write_text(MAIN.replace("50%", "150%"))
    assert lint.main(["a/main.dsd"]) == 1
    out = capsys.readouterr().out
    assert "--> a/main.dsd:4:1" in out
    assert "note: a target of 150% leaves nothing to train (a/parts/common.dsd:2:10)" in out
    assert lint.main(["a/main.dsd", "--output-format", "json"]) == 1
    [found] = json.loads(capsys.readouterr().out)["diagnostics"]
    assert [other["filename"] for other in found["related"]] == ["a/parts/common.dsd"]
    assert lint.main(["a/main.dsd", "--output-format", "sarif"]) == 1
    [result] = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    [related] = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "a/parts/common.dsd"


def test_why_names_the_definition_and_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["a/main.dsd", "--why"]) == 0
    out = capsys.readouterr().out
    assert "at 4:1, defined at a/parts/common.dsd:2:3" in out
    assert "written as `s`, at 2:10 of a/parts/common.dsd, called at 4:1" in " ".join(out.split())


@pytest.mark.parametrize("name", ["parts", "gone.dsd", "main.dsd", "/dev/zero"])
def test_a_file_that_cannot_be_used_is_told_in_a_sentence(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "main.dsd").write_text(f'use "{name}"\ndense 2ep lr=0.1\n')
    assert lint.main(["a/main.dsd", "--output-format", "concise"]) == 1
    assert capsys.readouterr().out.startswith("a/main.dsd:1:5: DSD211 ")
