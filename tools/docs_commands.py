"""Writes a page for each command of `[project.scripts]` with the output of its `--help`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from docs_tables import table

REPOSITORY = Path(__file__).resolve().parent.parent
_INDEX = """# Commands

Every command has `--help` and `--version`. Exit status 2 always means wrong usage, a wrong configuration or a
failure of the tool itself; a user's mistake is one sentence and never a traceback.

"""


@cache
def scripts() -> dict[str, str]:
    """The commands by name, each with its function (`package.module:function`)."""
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        entries: dict[str, str] = tomllib.load(file)["project"]["scripts"]
    return entries


def launcher(name: str) -> list[str]:
    """The command line that runs a command of this checkout, installed or not."""
    module, _, function = scripts()[name].partition(":")
    start = f"import sys; from {module} import {function}; sys.argv[0] = {name!r}; sys.exit({function}())"
    return [sys.executable, "-c", start]


def environment(columns: int = 100) -> dict[str, str]:
    """The environment in which a page's commands run: no colours, a fixed width, the packages of this checkout."""
    paths = [str(REPOSITORY), str(REPOSITORY / "runtime"), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DSD_")}
    fixed = {"NO_COLOR": "1", "COLUMNS": str(columns), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return {**kept, **fixed}


@cache
def help_of(name: str) -> str:
    """The output of `NAME --help`."""
    done = subprocess.run([*launcher(name), "--help"], capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`{name} --help` ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def purpose(name: str) -> str:
    """The paragraph below `usage:` in a command's help."""
    return " ".join(help_of(name).split("\n\n")[1].split())


def exit_status(name: str) -> str:
    """The sentence about exit codes in a command's help."""
    match = re.search(r"[Ee]xit status:\s+(.+?)(?:\.(?:\s|$)|\n\n|\Z)", help_of(name), re.DOTALL)
    return "" if match is None else " ".join(match[1].split())


def command_pages() -> dict[str, str]:
    """Every page in `commands/` by its path."""
    return {"commands/index.md": index_page(), **{f"commands/{name}.md": command_page(name) for name in scripts()}}


def command_page(name: str) -> str:
    """One command: its purpose and its help."""
    return f'# {name}\n\n{purpose(name)}\n\n```text title="{name} --help"\n{help_of(name)}```\n'


def index_page() -> str:
    """The list of the commands with their exit codes."""
    rows = [(f"[{name}]({name}.md)", purpose(name), exit_status(name)) for name in scripts()]
    return _INDEX + table(("command", "what it does", "exit status"), rows)


def navigation() -> list[dict[str, str]]:
    """The pages of the commands, for the site's navigation."""
    return [{name: f"commands/{name}.md"} for name in scripts()]
