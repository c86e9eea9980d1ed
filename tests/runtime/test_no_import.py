"""No tool that only reads a schedule imports a module that the schedule names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_lang.cli import lint, plan
from dsd_lang.cli.installed import model_layers, model_preset

TEXT = 'set model="stranger_code:make" data="stranger_code:open"\ndense 5ep lr=0.1\nsparse 50% layers=fc\n'


@pytest.fixture
def schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "stranger_code.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "a.dsd").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return str(tmp_path / "a.dsd")


@pytest.mark.parametrize("flags", [[], ["--model", "stranger_code:make"]])
def test_lint_and_plan_import_nothing(schedule: str, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lint.main([schedule, *flags])
    assert "DSD208" in capsys.readouterr().out or flags
    for more in ([], ["--json"], ["--why"], ["--timeline"]):
        plan.main([schedule, *flags, *more])
    assert "stranger_code" not in sys.modules


def test_the_editors_questions_import_nothing(schedule: str) -> None:
    with pytest.raises(DsdError, match="known only when it is built"):
        model_layers("stranger_code:make")
    assert model_preset("stranger_code:make")["batch"]
    assert "stranger_code" not in sys.modules
