"""SARIF: valid against the schema of 2.1.0, with places, rules and fixes that code scanning reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.source import SourceText
from dsd_lang.lint.checking import check_text
from dsd_lang.report import CheckedFile, render
from dsd_lang.rules import page

jsonschema = pytest.importorskip("jsonschema")
ALL = frozenset(CATALOGUE)
TEXTS = {
    "a.dsd": "dense 50 lr=8e-4\n// a comment\nsparse 50% layers=fc,birn until val.los < 1\n",
    "sub/ö ,:%.dsd": "dense 5ep lr=0.1  # dsd: ignore[DSD303]\n\U0001f600\nsparse 90%\n",
    "<stdin>": "\x00",
    "/elsewhere/b.dsd": "dense lr=1 5ep\n",
    "clean.dsd": "dense 5ep lr=1\n",
}


def files() -> list[CheckedFile]:
    return [CheckedFile(name, SourceText(text), check_text(text, selected=ALL)) for name, text in TEXTS.items()]


def log(exit_code: int = 1) -> dict[str, Any]:
    text = render(files(), "sarif", exit_code=exit_code, page_of=page)
    read: dict[str, Any] = json.loads(text)
    return read


@pytest.fixture(scope="module")
def validator(repository: Path) -> Any:
    schema = json.loads((repository / "tests" / "cli" / "data" / "sarif-2.1.0.schema.json").read_text("utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema, format_checker=jsonschema.FormatChecker())


def test_it_is_valid(validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(log())] == []
    assert [error.message for error in validator.iter_errors(json.loads(render([], "sarif")))] == []
    wrong = log()
    wrong["runs"][0]["results"][0]["level"] = "advice"
    assert list(validator.iter_errors(wrong))


def test_every_rule_is_described() -> None:
    rules = log()["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CATALOGUE)
    for rule in rules:
        assert rule["helpUri"].endswith(f"/rules/{rule['name']}/")
        assert rule["fullDescription"]["text"].endswith(".")
        assert "What it does" in rule["help"]["text"]
    by_id = {rule["id"]: rule for rule in rules}
    assert by_id["DSD407"]["defaultConfiguration"] == {"enabled": False, "level": "note"}


def test_results_name_their_rule_and_place() -> None:
    run = log()["runs"][0]
    expected = [(file.name, diagnostic) for file in files() for diagnostic in file.diagnostics]
    assert len(run["results"]) == len(expected) > 7
    for result, (name, diagnostic) in zip(run["results"], expected, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == diagnostic.code
        region = result["locations"][0]["physicalLocation"]["region"]
        assert tuple(region.values()) == tuple(diagnostic.span)[:4]
        assert diagnostic.message in result["message"]["text"]
        assert ("fixes" in result) == (diagnostic.fix is not None), name


def test_places_are_relative_and_escaped() -> None:
    places = [item["location"] for item in log()["runs"][0]["artifacts"]]
    assert [place["uri"] for place in places] == [
        "a.dsd", "sub/%C3%B6%20%2C%3A%25.dsd", "%3Cstdin%3E", "file:///elsewhere/b.dsd", "clean.dsd",
    ]  # fmt: skip
    assert [place.get("uriBaseId") for place in places] == ["%SRCROOT%", "%SRCROOT%", "%SRCROOT%", None, "%SRCROOT%"]


def test_a_fix_is_replacements() -> None:
    fixes = [result["fixes"][0] for result in log()["runs"][0]["results"] if "fixes" in result]
    assert fixes[0]["artifactChanges"][0]["replacements"] == [
        {
            "deletedRegion": {"startLine": 1, "startColumn": 7, "endLine": 1, "endColumn": 9},
            "insertedContent": {"text": "50ep"},
        }
    ]
    assert fixes[0]["properties"] == {"applicability": "unsafe"}


def test_how_the_tool_ended() -> None:
    assert log(exit_code=1)["runs"][0]["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    assert log(exit_code=0)["runs"][0]["invocations"][0]["exitCode"] == 0
    assert log()["runs"][0]["columnKind"] == "unicodeCodePoints"
