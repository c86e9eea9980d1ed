"""Every starter that `dsd-new` writes is something that `dsd-run` takes."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dsd_lang.base.units import parse_length
from dsd_lang.starter.choices import Choices
from dsd_lang.starter.recipes import RECIPES
from dsd_lang.starter.writing import starter_text
from dsd_runtime.cli import main


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last weights of a run of the starter that prunes once."""
    folder = tmp_path_factory.mktemp("pruned")
    path = folder / "once.dsd"
    choices = Choices("lenet_300_100", optimizer="adam", length=parse_length("3it"))
    path.write_text(starter_text(RECIPES["one-shot"], choices, name="once.dsd"))
    assert main([str(path), "--device", "cpu", "--out", str(folder / "run"), "--progress", "none"]) == 0
    return folder / "run" / "final.safetensors"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, pruned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(pruned, "pruned.safetensors")


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


def test_a_pruned_network_keeps_its_zeros(tmp_path: Path) -> None:
    path = tmp_path / "first.dsd"
    choices = Choices("lenet_300_100", optimizer="adam", length=parse_length("3it"))
    path.write_text(starter_text(RECIPES["fine-tune"], choices, name="first.dsd"))
    assert main([str(path), "--device", "cpu", "--out", str(tmp_path / "run"), "--progress", "none"]) == 0
    before, after = load_file("pruned.safetensors"), load_file(tmp_path / "run" / "final.safetensors")
    matrices = [name for name, weight in before.items() if weight.dim() == 2]
    assert matrices
    for name in matrices:
        assert bool((before[name] == 0).any())
        assert torch.equal(before[name] == 0, after[name] == 0)
        assert not torch.equal(before[name], after[name])
