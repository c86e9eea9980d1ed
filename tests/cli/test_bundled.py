"""Schedules that come with the distribution are found by name, from a checkout and from a wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dsd_lang.base.bundled import bundled_schedules, schedule_path
from dsd_lang.base.errors import DsdError
from dsd_lang.cli import lint
from dsd_lang.cli.plan import main


def test_every_schedule_of_the_checkout_is_bundled(repository: Path) -> None:
    assert set(bundled_schedules()) == {path.stem for path in (repository / "schedules").glob("*.dsd")}


def test_a_name_is_a_bundled_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quickstart", "--json"]) == 0
    assert '"dsd_plan": 1' in capsys.readouterr().out


def test_the_linter_checks_a_bundled_schedule_and_does_not_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lint.main(["quickstart", "one_shot"]) == 0
    assert capsys.readouterr().out == "2 files checked, no problems found\n"
    assert lint.main(["quickstart", "--fix"]) == 2
    assert "there is no file or folder `quickstart`" in capsys.readouterr().err
    assert lint.main(["quikstart"]) == 2


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text("dense 1ep lr=1\n")
    assert schedule_path("quickstart") == Path("quickstart")


def test_what_has_a_folder_or_a_suffix_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("./quickstart", "quickstart.dsd", "schedules/quickstart", "-"):
        assert schedule_path(word) == Path(word)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(DsdError, match="`quikstart` is not a file or a bundled schedule") as caught:
        schedule_path("quikstart")
    assert (caught.value.help or "").startswith("did you mean `quickstart`? bundled schedules: ablation, ")


@pytest.mark.slow
def test_a_wheel_has_the_schedules(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="needs setuptools, which builds the wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), "."]
    built = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
    [wheel] = tmp_path.glob("*.whl")
    names = {Path(name).stem for name in zipfile.ZipFile(wheel).namelist() if name.startswith("dsd_lang/schedules/")}
    assert names == {path.stem for path in (repository / "schedules").glob("*.dsd")}
