"""Every starter that `dsd-new` writes is something that `dsd-run` takes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dsd_lang.base.units import parse_length
from dsd_lang.starter.choices import Choices
from dsd_lang.starter.recipes import RECIPES
from dsd_lang.starter.writing import starter_text
from dsd_runtime.cli import main


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_starter_passes_a_dry_run(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choices = Choices("lenet_300_100", optimizer="adam", length=parse_length("2ep"), pruned=Fraction("0.5"))
    path = tmp_path / "first.dsd"
    path.write_text(starter_text(RECIPES[recipe], choices, name="first.dsd"))
    assert main([str(path), "--dry-run", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    assert "updates to train" in capsys.readouterr().out


def test_the_first_one_trains(tmp_path: Path) -> None:
    path = tmp_path / "first.dsd"
    choices = Choices("lenet_300_100", optimizer="adam", length=parse_length("3it"))
    path.write_text(starter_text(RECIPES["dsd"], choices, name="first.dsd"))
    assert main([str(path), "--device", "cpu", "--out", str(tmp_path / "run"), "--progress", "none"]) == 0
