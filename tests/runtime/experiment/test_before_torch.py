"""What can be found without torch is told before it is loaded; what there is can be listed; every flag is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dsd_lang.base.data_sets import DATA_SETS
from dsd_runtime.cli import build_parser, main
from dsd_runtime.experiment.quiet_threads import quiet_threads
from dsd_runtime.models.catalogue import MODELS


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "there is no schedule in that folder"),
        (["x"], "there is `{}/x.dsd` in that folder"),
        (["h", "b", "g", "a", "f", "c", "e", "d"], "there are " + ", ".join(f"`{{}}/{name}.dsd`" for name in "abcdef")),
        (["quickstart"], "did you mean `{}/quickstart.dsd`?"),
    ],
)
def test_a_missing_schedule_names_those_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], said: str
) -> None:
    for name in names:
        (tmp_path / f"{name}.dsd").write_text("dense 1ep lr=0.1")
    assert main([str(tmp_path / "quickstrat.dsd"), "--model", "lenet_300_100"]) == 2
    assert said.replace("{}", str(tmp_path)) in capsys.readouterr().err


def test_a_schedule_that_is_not_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = tmp_path / "latin.dsd"
    schedule.write_bytes("dense 1ep lr=0.1  # schön".encode("latin-1"))
    assert main([str(schedule), "--model", "lenet_300_100", "--dry-run"]) == 2
    assert "error: DSD105: `" in (told := capsys.readouterr().err)
    assert "latin.dsd` is not UTF-8 (byte 23)\n  = help: save it as UTF-8" in told


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        (None, ("--model", "ds2"), "did you mean `"),
        ("dense 5", ("--model", "ds2"), "DSD402"),
        ("dense 1ep", ("--model", "ds3"), "did you mean `ds"),
        ("dense 1ep", (), "no model was given"),
        ("dense 1ep", ("--model", "ds2", "--scale", "x"), "is not a number"),
        ("dense 1ep", ("--model", "ds2", "--set", "lr"), "is not KEY=VALUE"),
        ("dense 1ep", ("--model", "mine:make"), "it needs a data set"),
    ],
)
def test_mistakes_are_told_without_torch(
    repository: Path, tmp_path: Path, text: str | None, flags: tuple[str, ...], words: str
) -> None:
    schedule = tmp_path / "right.dsd"
    schedule.write_text(text or "dense 1ep")
    given = schedule if text is not None else tmp_path / "rigth.dsd"
    path = [str(repository), str(repository / "runtime")]
    program = (
        f"import sys; sys.path[:0] = {path!r}; from dsd_runtime.cli import main; code = main(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\nsys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(given), *flags], capture_output=True, text=True, check=False
    )
    assert ended.returncode in (1, 2), ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("given", "is_alone", "added"),
    [
        ({}, True, {"GOMP_SPINCOUNT": "1000"}),
        ({}, False, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, False, {}),
        ({"GOMP_SPINCOUNT": "5"}, True, {}),
        ({"KMP_BLOCKTIME": "0", "OMP_NUM_THREADS": "2"}, True, {}),
    ],
)
def test_how_threads_wait_is_decided_unless_the_user_has(
    given: dict[str, str], is_alone: bool, added: dict[str, str]
) -> None:
    assert quiet_threads(given, is_alone=is_alone) == added


def test_a_schedule_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--model", "ds2"])
    assert caught.value.code == 2
    assert "SCHEDULE" in capsys.readouterr().err


def test_the_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-models"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n{name} " in told for name in MODELS)
    assert "hidden=1760 layers=7 channels=32" in told
    assert "trains on spoken" in told
    assert "torchvision:NAME" in told


def test_the_data_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-data"]) == 0
    told = capsys.readouterr().out
    for row in DATA_SETS.values():
        assert f"\n{row.name}{':PATH' if row.needs_path else ''} " in told
        assert row.summary in told
    assert {"sorta_grad=off", "augment=on"} <= set(told.split())
    own, options = told.splitlines()[-2:]
    assert options == " " * own.index("your own") + "whatever it takes"
    assert "size=8 channels=1" in told


def test_every_flag_is_explained() -> None:
    assert [action.dest for action in build_parser()._actions if not action.help] == []
