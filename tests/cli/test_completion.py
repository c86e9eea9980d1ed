"""Shell completion: every flag of every tool, tried in real shells (skipped with a reason where a shell is absent)."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.cli.command_lines import CommandLine, command_lines
from dsd_lang.cli.completion import SHELLS, main

LINES = {line.program: line for line in command_lines()}
Complete = Callable[[str], set[str]]


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs the shell {name}")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.dsd", "a b.dsd", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "runs").mkdir()
    for name, script in SHELLS.items():
        (tmp_path / f".completion.{name}").write_text(script(tuple(LINES.values())))
    return tmp_path


def in_bash(folder: Path) -> Complete:
    path = shell("bash")
    driver = """source ./.completion.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${COMPREPLY[@]}"
"""

    def complete(line: str) -> set[str]:
        words = line.replace("=", " = ").split(" ") if "--" in line and "=" in line else line.split(" ")
        done = subprocess.run(
            [path, "--norc", "-c", driver, "bash", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return set(done.stdout.splitlines()) - {""}

    return complete


def in_fish(folder: Path) -> Complete:
    path = shell("fish")

    def complete(line: str) -> set[str]:
        home = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")}
        command = "source ./.completion.fish; complete -C $argv[1]"
        done = subprocess.run(
            [path, "--no-config", "-c", command, line],
            cwd=folder,
            capture_output=True,
            text=True,
            env=home,
            check=False,
        )
        assert done.stderr == ""
        found = {text.split("\t")[0].rstrip("/") for text in done.stdout.splitlines()}
        prefix = line.rsplit(" ", 1)[-1].partition("=")[0] + "="
        return {word.removeprefix(prefix) if "=" in line else word for word in found}

    return complete


def in_zsh(folder: Path) -> Complete:
    """What zsh lists or puts in at a TAB, read from a terminal of its own."""
    path = shell("zsh")
    setup = (
        "PS1='> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; LISTMAX=999; "
        "zstyle ':completion:*' list-separator ''; zstyle ':completion:*' verbose no; "
        "setopt auto_list no_list_ambiguous; source ./.completion.zsh; print RE''ADY\n"
    )

    def complete(line: str) -> set[str]:
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(folder)
            os.environ.update({"TERM": "dumb", "ZDOTDIR": str(folder), "COLUMNS": "200"})
            os.execv(path, [path, "-f", "-i"])
        try:
            os.write(terminal, setup.encode())
            _read(terminal, until="READY", quiet_seconds=20)
            _read(terminal, until="> ", quiet_seconds=1)
            os.write(terminal, f"{line}\t".encode())
            shown = _read(terminal, until=None, quiet_seconds=1.0)
        finally:
            os.close(terminal)
            os.waitpid(process, 0)
        return set(shown.replace("\r", " ").replace("\n", " ").replace("\\ ", "\0").split())

    return complete


def _read(terminal: int, *, until: str | None, quiet_seconds: float) -> str:
    """What a terminal shows until a text is seen, or until nothing more comes for a while."""
    seen = b""
    while select.select([terminal], [], [], quiet_seconds)[0]:
        seen += os.read(terminal, 65536)
        if until is not None and until.encode() in seen:
            break
    return seen.decode(errors="replace")


SHELL_DRIVERS = {"bash": in_bash, "fish": in_fish, "zsh": in_zsh}


@pytest.mark.parametrize("name", sorted(SHELL_DRIVERS))
def test_a_real_shell_completes(name: str, folder: Path) -> None:
    complete = SHELL_DRIVERS[name](folder)
    cases = [
        ("dsd-lint --out", {"--output-format", "--output-file"}),
        ("dsd-lint --output-format s", {"sarif"}),
        ("dsd-lint --output-format=g", {"github"}),
        ("dsd-lint --explain DSD10", {"DSD101", "DSD102", "DSD103", "DSD104", "DSD105"}),
        ("dsd-plan --graph ", {"mermaid", "dot", "svg"}),
        ("dsd-plan --set lay", {"layers="}),
        ("dsd-run --model resnet", {"resnet18", "resnet20", "resnet50"}),
        ("dsd-run --device ", {"auto", "cpu", "cuda"}),
        ("dsd-new --recipe dsd", {"dsd", "dsd-vs-dense"}),
        ("dsd-completion ", {"bash", "fish", "zsh"}),
        ("dsd-plan --out ", {"runs"}),
        ("dsd-fmt o", {"one.dsd"}),
    ]
    for line, expected in cases[::2] if name == "zsh" else cases:  # a terminal takes a second each
        found = complete(line)
        if name == "zsh":  # the terminal shows the line as well, and may go on after it
            assert all(any(word in text for text in found) for word in expected), (line, found)
        else:
            assert found == expected, line


@pytest.mark.parametrize("name", ["bash", "fish"])
def test_lists_paths_and_schedules(name: str, folder: Path) -> None:
    complete = SHELL_DRIVERS[name](folder)
    assert complete("dsd-lint --select DSD101,DSD30") == {f"DSD101,DSD30{number}" for number in range(1, 7)}
    found = complete("dsd-lint ")
    assert {"one.dsd", "a b.dsd", "runs"} <= found
    assert complete("dsd-lint --layers n") == {"notes.txt"}
    if name == "bash":
        assert found == {"one.dsd", "a b.dsd", "runs"}
        assert complete("dsd-lint --stdin-filename ") == set()


@pytest.mark.parametrize("name", sorted(SHELLS))
def test_a_script_knows_every_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 0
    script = capsys.readouterr().out
    for line in LINES.values():
        assert line.program in script
        for option in line.options:
            flag = f"-l {option.name[2:]} " if name == "fish" else option.name
            assert flag in script, (line.program, option.name)


def test_every_tool_of_the_package_is_there(repository: Path) -> None:
    import tomllib

    scripts = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(LINES) == set(scripts)


def test_what_stands_behind_a_flag() -> None:
    def value(line: CommandLine, name: str) -> tuple[str, tuple[str, ...]]:
        option = next(option for option in line.options if option.name == name)
        return option.value.takes, option.value.words

    assert value(LINES["dsd-lint"], "--quiet") == ("nothing", ())
    takes, words = value(LINES["dsd-lint"], "--select")
    assert takes == "list"
    assert set(CATALOGUE) < set(words)
    assert value(LINES["dsd-run"], "--dry-run") == ("nothing", ())
    assert value(LINES["dsd-run"], "--out") == ("folder", ())
    assert value(LINES["dsd-run"], "--precision") == ("words", ("fp32", "bf16", "fp16"))
    assert value(LINES["dsd-run"], "--seed") == ("free", ())


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bsh"]) == 2
    assert capsys.readouterr().err == (
        "dsd-completion: unknown shell `bsh`\n  = help: did you mean `bash`? expected one of bash, zsh, fish\n"
    )
    assert main([]) == 2
    assert "give the name of one shell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "arguments", "status", "said"),
    [
        ("dsd_lang.cli.completion", "bash", 0, ""),
        ("dsd_runtime.results.cli", "no-run", 2, "dsd-report: `numpy` is not installed, which it needs"),
    ],
)
def test_without_the_extra_run(tmp_path: Path, module: str, arguments: str, status: int, said: str) -> None:
    """`pip install dsd-lang` alone: the scripts are there, and what is missing is told in a sentence."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('numpy', 'torch', 'scipy', 'rich')));"
        f"from {module} import main; sys.exit(main([{arguments!r}]))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.partition("\n")[0]) == (status, said)
