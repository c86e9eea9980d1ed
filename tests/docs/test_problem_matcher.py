"""The GitHub Actions example: its matcher reads what `dsd-lint` prints, its commands are commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docs_commands import environment, launcher

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ci"
MATCHERS = {
    item["owner"]: item for item in json.loads((FOLDER / "dsd-problem-matcher.json").read_text())["problemMatcher"]
}
WRONG = "dense 5ep lr=0.1 decya=cosine\nsparse 50% layers=birn\n"
ADVICE = "dense 5ep lr=0.1\nsparse 80%\ndense\n"


def run(folder: Path, command: str) -> str:
    words = shlex.split(command)
    line = [*launcher(words[0]), *words[1:]]
    return subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, check=False).stdout


def annotations(matcher: dict[str, Any], log: str) -> list[dict[str, str]]:
    """What GitHub reads from a log: the patterns in order on following lines, the groups by name."""
    lines, found = log.splitlines(), []
    for start in range(len(lines)):
        annotation: dict[str, str] = {"severity": matcher.get("severity", "error")}
        for pattern, line in zip(matcher["pattern"], lines[start:], strict=False):
            match = re.search(pattern["regexp"], line)
            if match is None:
                break
            annotation |= {name: match[group] for name, group in pattern.items() if name != "regexp"}
        else:
            found.append(annotation)
    return found


@pytest.fixture
def schedules(tmp_path: Path) -> Path:
    folder = tmp_path / "schedules"
    folder.mkdir()
    (folder / "wrong.dsd").write_text(WRONG)
    (folder / "fine.dsd").write_text(ADVICE)
    return tmp_path


PLACES = [("DSD202", "1", "18"), ("DSD201", "2", "19"), ("DSD303", "2", "1")]


def places(found: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(item["code"], item["line"], item["column"]) for item in found]


def test_the_full_format_is_read(schedules: Path) -> None:
    log = run(schedules, "dsd-lint schedules/wrong.dsd")
    found = annotations(MATCHERS["dsd-full"], log)
    assert set(places(found)) >= set(PLACES[:2])
    assert {item["file"] for item in found} == {"schedules/wrong.dsd"}
    assert {item["severity"] for item in found} <= {"error", "warning"}
    assert "has no argument `decya`" in found[0]["message"]


def test_every_diagnostic_of_the_full_format_is_read_once(schedules: Path) -> None:
    command = "dsd-lint --select ALL schedules"
    count = len(json.loads(run(schedules, f"{command} --output-format json"))["diagnostics"])
    log = run(schedules, command)
    found = [*annotations(MATCHERS["dsd-full"], log), *annotations(MATCHERS["dsd-full-advice"], log)]
    assert len(found) == count > 3
    assert "notice" in {item["severity"] for item in found}
    assert annotations(MATCHERS["dsd-concise"], log) == []


def test_the_concise_format_is_read(schedules: Path) -> None:
    command = "dsd-lint --select ALL schedules"
    data = json.loads(run(schedules, f"{command} --output-format json"))["diagnostics"]
    found = annotations(MATCHERS["dsd-concise"], run(schedules, f"{command} --output-format concise"))
    wanted = [(item["code"], str(item["location"]["row"]), str(item["location"]["column"])) for item in data]
    assert places(found) == wanted
    assert [item["message"] for item in found] == [item["message"] for item in data]


def test_a_clean_log_has_no_annotation(schedules: Path) -> None:
    log = run(schedules, "dsd-lint schedules/fine.dsd")
    assert [found for matcher in MATCHERS.values() for found in annotations(matcher, log)] == []


def workflow() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, which the extras `dev` and `docs` bring")
    text: dict[str, Any] = yaml.safe_load((FOLDER / "dsd.yml").read_text())
    return text


def commands(start: str) -> list[str]:
    steps = workflow()["jobs"]["lint"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    return [line for line in lines if line.startswith(start)]


def test_the_workflow_may_upload_and_uploads_what_it_writes(schedules: Path) -> None:
    job = workflow()["jobs"]["lint"]
    assert job["permissions"]["security-events"] == "write"
    [upload] = [step for step in job["steps"] if "upload-sarif" in step.get("uses", "")]
    [sarif] = [line for line in commands("dsd-lint") if "sarif" in line]
    assert run(schedules, sarif) is not None
    written = json.loads((schedules / upload["with"]["sarif_file"]).read_text())
    assert written["version"] == "2.1.0"
    assert {result["ruleId"] for result in written["runs"][0]["results"]} >= {"DSD201", "DSD202"}


def test_the_commands_of_the_workflow_find_what_is_wrong(schedules: Path) -> None:
    lint = next(line for line in commands("dsd-lint") if "sarif" not in line)
    assert annotations(MATCHERS["dsd-full"], run(schedules, lint))
    (schedules / "schedules" / "wrong.dsd").write_text("dense   5ep lr=0.1\n")
    [check] = commands("dsd-fmt")
    assert "-dense   5ep lr=0.1" in run(schedules, check)
