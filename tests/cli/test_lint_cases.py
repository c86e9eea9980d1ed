"""The cases of tests/cases/*.md: a schedule, a command, and exactly what it prints.

Each `##` section holds a ```dsd block and a ```console block: `$ dsd-lint ...`, the output, `[exit N]`. With
DSD_UPDATE_CASES=1 the outputs are written anew; read the difference before keeping it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from dsd_lang.cli.lint import main

FOLDER = Path(__file__).resolve().parent.parent / "cases"
SECTION = re.compile(
    r"^## (?P<title>[^\n]*)\n(?P<between>.*?)```dsd\n(?P<schedule>.*?)```\n(?P<gap>.*?)"
    r"```console\n\$ dsd-lint(?P<arguments>[^\n]*)\n(?P<output>.*?)\[exit (?P<exit>\d)\]\n```",
    re.DOTALL | re.MULTILINE,
)


def sections() -> list[tuple[Path, re.Match[str]]]:
    return [
        (path, found) for path in sorted(FOLDER.glob("*.md")) for found in SECTION.finditer(path.read_text("utf-8"))
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
    (tmp_path / "schedule.dsd").write_text(section["schedule"], encoding="utf-8")
    status = main(shlex.split(section["arguments"]))
    output = capsys.readouterr().out
    if os.environ.get("DSD_UPDATE_CASES"):
        text = path.read_text("utf-8")
        old = section[0]
        new = old.replace(f"{section['output']}[exit {section['exit']}]", f"{output}[exit {status}]")
        path.write_text(text.replace(old, new), encoding="utf-8")
        return
    assert output == section["output"]
    assert status == int(section["exit"])


def test_there_are_cases() -> None:
    assert len(sections()) > 20
