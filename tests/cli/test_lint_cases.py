"""The cases of tests/cases/*.md: a schedule, a command, and exactly what it prints.

Each `##` section holds a ```dsd block and ```console blocks: `$ dsd-lint ...`, the output, `[exit N]`; each starts from
the schedule as written. With DSD_UPDATE_CASES=1 the outputs are written anew; read the difference before keeping it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.cli.lint import main

FOLDER = Path(__file__).resolve().parent.parent / "cases"
SECTION = re.compile(
    r"^## (?P<title>[^\n]*)\n(?:(?!^## |^```).*\n)*```dsd\n(?P<schedule>.*?)```\n(?P<consoles>.*?)(?=^## |\Z)",
    re.DOTALL | re.MULTILINE,
)
CONSOLE = re.compile(
    r"```console\n\$ dsd-lint(?P<arguments>[^\n]*)\n(?P<output>.*?)\[exit (?P<exit>\d)\]\n```", re.DOTALL
)


def sections() -> list[tuple[Path, re.Match[str]]]:
    return [
        (path, found) for path in sorted(FOLDER.glob("**/*.md")) for found in SECTION.finditer(path.read_text("utf-8"))
    ]


@pytest.mark.parametrize(
    ("path", "section"), [pytest.param(path, found, id=f"{path.stem}: {found['title']}") for path, found in sections()]
)
def test_case(
    path: Path,
    section: re.Match[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "DSD_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    consoles = list(CONSOLE.finditer(section["consoles"]))
    assert consoles
    for console in consoles:
        (tmp_path / "schedule.dsd").write_text(section["schedule"], encoding="utf-8")
        status = main(shlex.split(console["arguments"]))
        output = capsys.readouterr().out
        if os.environ.get("DSD_UPDATE_CASES"):
            rewrite(path, section, console, f"{output}[exit {status}]")
            continue
        assert output == console["output"]
        assert status == int(console["exit"])


def rewrite(path: Path, section: re.Match[str], console: re.Match[str], new: str) -> None:
    """Puts what was printed in the place of what was expected."""
    text = path.read_text("utf-8")
    head, body = text[: text.index(f"## {section['title']}\n")], text[text.index(f"## {section['title']}\n") :]
    place = body.index(f"$ dsd-lint{console['arguments']}\n")
    start = place + len(f"$ dsd-lint{console['arguments']}\n")
    end = body.index("[exit ", start)
    path.write_text(head + body[:start] + new + body[end + len("[exit 0]") :], encoding="utf-8")


def test_there_are_cases() -> None:
    assert len(sections()) > 80


def is_something_refused() -> bool:
    """Whether the language has an argument that `dsd-run` does not execute."""
    return not all(row.is_supported and all(option.is_supported for option in row.options) for row in ARGUMENTS)


def test_every_rule_has_its_cases() -> None:
    """A file for each rule, with a text that it reports and one that it leaves alone."""
    for entry in CATALOGUE.values():
        path = FOLDER / "rules" / f"{entry.code}-{entry.name}.md"
        found = list(SECTION.finditer(path.read_text("utf-8")))
        outputs = [console["output"] for section in found for console in CONSOLE.finditer(section["consoles"])]
        if entry.code != "DSD207" or is_something_refused():  # tests/docs/test_recipes.py has a new argument refused
            assert any(entry.code in output for output in outputs), entry.code
        assert any(entry.code not in output and "diff" not in output for output in outputs), entry.code
