"""The linter's command line: paths, exit codes, selection, formats, and failures in one sentence."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, WeightInfo
from dsd_lang.cli import lint
from dsd_lang.cli.lint import main

CLEAN = "dense 50ep lr=8e-4\n"
WRONG = "dense 50 lr=8e-4\n"
LAYERS = {
    "layers": [
        {"name": "conv1", "kind": "conv", "weights": [{"name": "conv1.weight", "shape": [4, 1, 3, 3]}]},
        {"name": "fc", "kind": "fc", "weights": [{"name": "fc.weight", "shape": [10, 4]}]},
    ]
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "DSD_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "clean.dsd").write_text(CLEAN)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "wrong.dsd").write_text(WRONG)
    return tmp_path


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a run that must end with 2 says on stderr."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("dsd-lint: ")
    return captured.err.removeprefix("dsd-lint: ")


def test_exit_codes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean.dsd"]) == 0
    assert main(["sub/wrong.dsd"]) == 1
    assert main(["sub/wrong.dsd", "--exit-zero"]) == 0
    assert main(["no.dsd"]) == 2
    assert capsys.readouterr().err == (
        "dsd-lint: there is no file or folder `no.dsd`\n  = help: give a schedule, or a folder with schedules\n"
    )


def test_a_folder_is_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["."], ["sub", "clean.dsd"]):
        assert main([*arguments, "--output-format", "concise"]) == 1
        wrong = os.path.join("sub", "wrong.dsd")
        assert capsys.readouterr().out == (
            f"{wrong}:1:7: DSD402 the length `50` has no unit\n1 error in 2 files\n1 fixable with --unsafe-fixes\n"
        )


def test_gitignore_is_respected_but_for_paths_given_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".gitignore").write_text("sub/\n")
    assert main([]) == 0
    assert main(["sub/wrong.dsd"]) == 1
    assert main(["sub"]) == 1


def test_no_schedules_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert main(["empty"]) == 0
    assert capsys.readouterr().err == "dsd-lint: no `*.dsd` files under `empty`\n"


def test_stdin(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, name in ((["-"], "<stdin>"), (["-", "--stdin-filename", "a.dsd"], "a.dsd")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WRONG.encode())))
        assert main([*arguments, "--output-format=concise"]) == 1
        assert capsys.readouterr().out.startswith(f"{name}:1:7: DSD402 ")
    assert "cannot be mixed" in failure(capsys, "-", "clean.dsd")


def test_selection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = "sub/wrong.dsd"
    for arguments, status in (
        (["--select", "DSD402"], 1), (["--select", "DSD4"], 1), (["--select=length-without-unit"], 1),
        (["--select", "DSD1,DSD2"], 1), (["--ignore", "DSD402"], 1), (["--ignore", "DSD"], 1),
        (["--select", "DSD1", "--extend-select", "DSD402"], 1), (["--select", "ALL"], 1),
    ):  # fmt: skip
        assert main([path, *arguments]) == status, arguments
    capsys.readouterr()
    assert failure(capsys, path, "--select", "DSD9999") == (
        "`--select`: unknown rule `DSD9999`\n  = help: did you mean `DSD904`?\n"
    )
    assert "did you mean `ends-sparse`?" in failure(capsys, path, "--ignore", "ends-spars")
    assert failure(capsys, path, "--select", " ,").startswith("`--select`: expected a rule\n")


def test_no_selection_makes_clean_what_does_not_compile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text('[tool.dsd.lint]\nper-file-ignores = { "*.dsd" = ["DSD402"] }\n')
    assert main(["sub/wrong.dsd", "--ignore", "DSD402", "--quiet"]) == 1
    assert "error[DSD402]" in capsys.readouterr().out
    assert main(["sub/wrong.dsd", "--ignore", "DSD402", "--unsafe-fixes"]) == 1
    assert Path("sub/wrong.dsd").read_text().startswith("dense 50 ")  # but what is ignored is not fixed


def test_advice_is_off_by_default(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text("dense 5ep lr=0.1; sparse 80%; dense\n")
    assert main(["a.dsd"]) == 0
    assert main(["a.dsd", "--extend-select", "paper-range"]) == 1
    assert "advice[DSD407]" in capsys.readouterr().out


def test_formats(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DSD_OUTPUT_FORMAT", "json")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["sub/wrong.dsd"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["valid"], report["error_count"]) == (False, 1)
    assert report["diagnostics"][0]["location"] == {"row": 1, "column": 7}
    assert main(["sub/wrong.dsd", "--output-format", "full"]) == 1
    assert "\033[" in capsys.readouterr().out
    assert main(["sub/wrong.dsd", "--output-format", "full", "--color", "never"]) == 1
    assert "\033[" not in capsys.readouterr().out
    assert "unknown output format `xml`" in failure(capsys, "--output-format", "xml")
    assert "did you mean `sarif`?" in failure(capsys, "--output-format", "serif")


def test_output_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sub/wrong.dsd", "--output-file", "report.txt"]) == 1
    assert "error[DSD402]" in Path("report.txt").read_text()
    assert capsys.readouterr().out == "1 error in 1 file\n1 fixable with --unsafe-fixes\n"
    assert main(["sub/wrong.dsd", "--output-file", "no/such/report.txt"]) == 2
    assert "cannot write `no/such/report.txt`: no such file or directory" in capsys.readouterr().err


def test_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "--exit-zer") == "unknown option `--exit-zer`\n  = help: did you mean `--exit-zero`?\n"
    assert failure(capsys, "--select") == "the option `--select` needs a value: RULES\n"
    assert failure(capsys, "--exit-zero=1") == "the option `--exit-zero` takes no value\n"
    assert "it is one of auto, always, never" in failure(capsys, "--color", "green")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(flag.name in page for flag in lint.FLAGS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dsd-lint ")


def test_the_flags_are_frozen() -> None:
    assert [flag.name for flag in lint.FLAGS] == [
        "--select", "--extend-select", "--ignore", "--explain", "--fix", "--unsafe-fixes", "--diff", "--output-format",
        "--output-file", "--color", "--quiet", "--exit-zero", "--model", "--layers", "--stdin-filename",
        "--force-exclude", "--version", "--help",
    ]  # fmt: skip


def test_unreadable_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("latin.dsd").write_bytes(b"dense 5ep # caf\xe9\ndense 3\n")
    assert main(["latin.dsd", "--output-format", "concise"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "latin.dsd:1:16: DSD105 byte 0xe9 at offset 15 is not UTF-8 text",
        "latin.dsd:2:7: DSD402 the length `3` has no unit",
    ]


def test_layers_from_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dsd").write_text("dense 5ep lr=0.1; sparse 50% layers=lstm; dense\n")
    Path("layers.json").write_text(json.dumps(LAYERS))
    assert main(["a.dsd"]) == 0
    assert main(["a.dsd", "--layers", "layers.json"]) == 1
    assert "DSD201" in capsys.readouterr().out
    assert "cannot be used together" in failure(capsys, "a.dsd", "--layers", "layers.json", "--model", "ds2")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("nope", "is not JSON"),
        ("[]", "has no list `layers`"),
        ('{"layers": [3]}', "at `layers[0].name`: it must be a string"),
        ('{"layers": [{"name": "a", "kind": "cnn"}]}', "at `layers[0].kind`: it is `cnn`"),
        ('{"layers": [{"name": "a", "kind": "fc", "roles": ["x"]}]}', "at `layers[0].roles`"),
        ('{"layers": [{"name": "a", "kind": "fc", "weights": [{"name": "w", "shape": [0]}]}]}', "weights[0].shape`"),
        ('{"layers": [{"name": "a", "kind": "fc", "weights": [{"name": "w", "shape": [1], "part": 1}]}]}', ".part`"),
    ],
)
def test_wrong_layers_files(folder: Path, capsys: pytest.CaptureFixture[str], content: str, sentence: str) -> None:
    Path("layers.json").write_text(content)
    message = failure(capsys, "clean.dsd", "--layers", "layers.json")
    assert sentence in message
    assert "Traceback" not in message


def test_a_layers_file_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, "clean.dsd", "--layers", "none.json")
    assert message == "cannot read `none.json`: no such file or directory\n"


def test_interruption_and_closed_pipes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lint, "check", interrupt)
    assert main(["clean.dsd"]) == 130


def test_all_example_schedules_are_clean_or_known(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The language reference's own schedules have no errors."""
    schedules = sorted((repository / "schedules").glob("*.dsd"))
    if not schedules:
        pytest.skip("schedules/ is empty")
    assert main([*map(str, schedules), "--select", "DSD1,DSD2,DSD4", "--ignore", "paper-range"]) == 0


def test_layers_of_a_named_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def inventory(name: str) -> tuple[LayerInfo, ...]:
        if name != "small":
            raise DsdError(f"unknown model `{name}`", help="did you mean `small`?")
        return (LayerInfo("fc", "fc", (WeightInfo("fc.weight", (10, 4)),)),)

    class Entry:
        value = "somewhere:inventory"

        def load(self) -> object:
            return inventory

    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [Entry()])
    Path("a.dsd").write_text("dense 5ep lr=0.1; sparse 50% layers=lstm; dense\n")
    assert main(["a.dsd", "--model", "small", "--output-format", "concise"]) == 1
    assert "DSD201" in capsys.readouterr().out
    assert failure(capsys, "a.dsd", "--model", "smal") == ("unknown model `smal`\n  = help: did you mean `small`?\n")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [])
    assert "no installed package knows the layers of the model `small`" in failure(capsys, "a.dsd", "--model", "small")
