"""`dsd-new`: what is written where, what is refused in one sentence, what is asked on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.cli.installed import model_cards, model_layers
from dsd_lang.cli.new import main
from dsd_lang.lint.checking import check_text
from dsd_lang.starter.recipes import RECIPES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return tmp_path


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.removeprefix("dsd-new: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_writes_a_file_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["first.dsd", "--model", "ds2"]) == 0
    assert capsys.readouterr().out == "wrote first.dsd; see what it resolves to with `dsd-plan first.dsd`\n"
    text = (folder / "first.dsd").read_text()
    assert 'set model="ds2"' in text
    assert failure(capsys, "first.dsd") == (
        "`first.dsd` already exists\n  = help: choose another name, or use `--force` to overwrite it\n"
    )
    assert (folder / "first.dsd").read_text() == text
    assert main(["first.dsd", "--recipe", "one-shot", "--force"]) == 0
    assert (folder / "first.dsd").read_text() != text


def test_a_dash_is_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-", "--recipe", "ac-dc"]) == 0
    assert capsys.readouterr().out.startswith("# Compressed and decompressed phases in turn")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("model", sorted(model_cards()))
def test_every_recipe_is_written_for_every_model(recipe: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-", "--recipe", recipe, "--model", model]) == 0
    text = capsys.readouterr().out
    silent = frozenset({"DSD407", "DSD901"})  # advice on values, off by default
    assert check_text(text, selected=frozenset(CATALOGUE) - silent, layers=model_layers(model)) == ()


def test_the_list_names_recipes_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert listed == [*RECIPES, *model_cards()]


def test_wrong_usage_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "folder.dsd").mkdir()
    for arguments, sentence, help in (
        ([], "give the file to write", "`dsd-new first.dsd"),
        (["a.dsd", "b.dsd"], "give one file to write, not several", "`dsd-new first.dsd"),
        (["first"], "`first` is not the name of a schedule: it must end in `.dsd`", "write `first.dsd`"),
        (["folder.dsd", "--force"], "`folder.dsd` already exists", "choose another name"),
        (["-", "--recipe", "oneshot"], "unknown recipe `oneshot`", "did you mean `one-shot`?"),
        (["-", "--model", "resnet51"], "unknown model `resnet51`", "did you mean `resnet50`?"),
        (["-", "--model", "ds2:hiden=8"], "the model `ds2` has no option `hiden`", "did you mean `hidden`?"),
        (["-", "--length", "10"], "`--length 10` is not a length", "write for instance `10ep`"),
        (["-", "--length", "0ep"], "`--length 0ep` is not above 0", "write for instance `10ep`"),
        (["-", "--sparsity", "50"], "`--sparsity 50` is not between 0 and 1", "write `50%`"),
        (["-", "--sparsity", "half"], "`--sparsity half` is not a share", "write for instance `50%`"),
        (["-", "--sparsity", "1/0"], "`--sparsity 1/0` is not a share", "write for instance `50%`"),
        (
            ["-", "--recipe", "fine-tune", "--sparsity", "50%"],
            "the recipe `fine-tune` takes no `--sparsity`: the zeros of the network say what is pruned",
            "`--recipe one-shot`",
        ),
        (["no/such/folder.dsd"], "cannot write `no/such/folder.dsd`: no such file or directory", ""),
        (["-", "--recipee", "dsd"], "unknown option `--recipee`", "did you mean `--recipe`?"),
    ):
        said = failure(capsys, *arguments)
        assert said.startswith(sentence + "\n"), said
        assert said.count("\n") == (2 if help else 1)
        assert help in said


def test_it_asks_on_a_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_for = list(RECIPES).index("one-shot") + 1
    monkeypatch.setattr(sys, "stdin", Terminal(f"{asked_for}\nresnet20\nmine.dsd\n"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([]) == 0
    text = (folder / "mine.dsd").read_text()
    assert text.startswith("# Prune once by magnitude")
    assert 'set model="resnet20"' in text


def test_an_empty_answer_takes_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n\n\n"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([]) == 0
    assert "model=" not in (folder / "dsd.dsd").read_text()


def test_no_answer_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("1\n"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([]) == 2
    assert "no choice was made, so nothing was written" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_choice_given_is_not_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["mine.dsd", "--recipe", "sweep"]) == 0
    assert (folder / "mine.dsd").exists()
