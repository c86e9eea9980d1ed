"""Running a schedule runs no code that only the schedule names, and the working folder stands in for no module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.cli import main
from dsd_runtime.experiment.request import Request, resolve

NETS = """
from pathlib import Path
from torch import nn

Path("imported").touch()

def make(num_classes=10, **rest):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stranger_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "stranger_nets", raising=False)
    return tmp_path


def run(folder: Path, text: str, *flags: str) -> int:
    (folder / "a.dsd").write_text(text)
    return main([str(folder / "a.dsd"), "--progress", "none", "--device", "cpu", *flags])


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    "setting", ['model="os:system,command=touch imported"', 'data="os:system,command=touch imported"']
)
def test_code_named_by_a_schedule_is_not_run(folder: Path, capsys, flags: tuple[str, ...], setting: str) -> None:
    other = 'model="lenet_300_100"' if setting.startswith("data") else 'data="digits"'
    assert run(folder, f"set {setting} {other}\ndense 1it lr=0.1\n", *flags) == 2
    told = capsys.readouterr().err
    assert "names the Python code `os:system`" in told
    assert "`--trust-schedule`" in told
    assert not (folder / "imported").exists()


def test_the_same_name_on_the_command_line_is_the_users_own_word(folder: Path) -> None:
    text = 'set data="digits"\ndense 1it lr=0.1\n'
    assert run(folder, text, "--model", "stranger_nets:make", "--out", "a", "--json") == 0
    assert (folder / "imported").exists()
    assert run(folder, text, "--set", "model=stranger_nets:make", "--dry-run") == 0
    named = f'set model="stranger_nets:make"\n{text}'
    assert run(folder, named, "--dry-run") == 2
    assert run(folder, named, "--dry-run", "--trust-schedule") == 0
    assert resolve(Request(folder / "a.dsd", model="stranger_nets:make")).model_name == "stranger_nets:make"
    with pytest.raises(DsdError, match="names the Python code"):
        resolve(Request(folder / "a.dsd"))


@pytest.mark.slow
def test_files_of_the_working_folder_stand_in_for_no_module(folder: Path, repository: Path) -> None:
    for name in ("sklearn", "json", "tensorboard", "dsd_lang", "safetensors", "rich"):
        (folder / f"{name}.py").write_text(f"open('imported-{name}', 'w'); raise SystemExit(3)\n")
    (folder / "a.dsd").write_text("dense 1it lr=0.1\n")
    path = os.pathsep.join((str(repository), str(repository / "runtime")))
    for command in (["-m", "dsd_runtime"], ["-c", "import sys; from dsd_runtime.cli import main; sys.exit(main())"]):
        arguments = ["a.dsd", "--model", "stranger_nets:make", "--data", "digits", "--progress", "none", "--fresh"]
        done = subprocess.run(
            [sys.executable, *(["-P"] if command[0] == "-c" else []), *command, *arguments],
            cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.glob("imported*")) == ["imported"]


def test_a_file_called_like_an_installed_module_is_told(folder: Path, capsys) -> None:
    (folder / "colorsys.py").write_text(NETS)
    assert run(folder, "dense 1it lr=0.1\n", "--model", "colorsys:make", "--data", "digits") == 2
    assert "not `colorsys.py` of this folder: rename your file" in capsys.readouterr().err
