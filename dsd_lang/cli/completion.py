"""`dsd-completion SHELL` prints the script that completes the command lines of all tools.

The words are part of the script, so that completion starts no process. Exit 0, 2 for usage errors or failures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.command_lines import CommandLine, command_lines
from dsd_lang.cli.completion_bash import bash_script
from dsd_lang.cli.completion_fish import fish_script
from dsd_lang.cli.completion_zsh import zsh_script
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.options import write_output

PROGRAM = "dsd-completion"
SHELLS: dict[str, Callable[[Sequence[CommandLine]], str]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
}
EPILOGUE = """bash: put  eval "$(dsd-completion bash)"  into ~/.bashrc
zsh:  put  eval "$(dsd-completion zsh)"  into ~/.zshrc, after `compinit`
fish: dsd-completion fish > ~/.config/fish/conf.d/dsd.fish
A script knows the models and rules of the version that wrote it; one that is kept in a file is written again after an
update. exit status: 0 fine, 2 bad usage or a failure of the tool."""
FLAGS = (
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(
    PROGRAM,
    f"{PROGRAM} {'|'.join(SHELLS)}",
    "Print the script that completes the command lines of every dsd tool.",
    FLAGS,
    EPILOGUE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(given: Given) -> int:
    """Runs the tool after the command line is parsed."""
    known = f"expected one of {', '.join(SHELLS)}"
    if len(given.words) != 1:
        raise DsdError("give the name of one shell", help=known)
    shell = given.words[0]
    if shell not in SHELLS:
        guess = nearest(shell, tuple(SHELLS))
        raise DsdError(
            f"unknown shell `{shell}`",
            help=f"did you mean `{guess}`? {known}" if guess else known,
        )
    write_output(SHELLS[shell](command_lines()), None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
