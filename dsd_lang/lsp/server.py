"""`dsd-lsp`, the language server on stdin and stdout. Exit 0 after `shutdown` and `exit`, 1 without.

Usage errors and a missing pygls give one sentence and exit 2.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from dsd_lang.base.errors import DsdError
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given

PROGRAM = "dsd-lsp"
FLAGS = (
    Flag("--stdio", "communicate over stdin and stdout (the default and only way)"),
    Flag("--clientProcessId", "the editor's process id (accepted and ignored)", "ID"),
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(
    PROGRAM,
    f"{PROGRAM} [--stdio]",
    "The language server of .dsd schedules, started by an editor.",
    FLAGS,
    "exit status: 0 shut down by the editor, 1 connection lost, 2 bad usage or a failure of the tool.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(options: Given) -> int:
    """Runs the server until the editor disconnects."""
    if options.words:
        raise DsdError(f"`{PROGRAM}` takes no files: an editor sends the text", help="use `dsd-lint` to check files")
    try:
        from dsd_lang.lsp.session import new_session
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pygls", "lsprotocol", "cattrs", "attrs", "attr"):
            raise
        raise DsdError("the language server needs pygls", help="pip install 'dsd-lang[lsp]'") from error
    session = new_session()
    gc.freeze()  # modules loaded so far are permanent and need no scanning
    gc.disable()  # checks.py collects
    session.start_io()
    return 0 if session.is_shut_down else 1


if __name__ == "__main__":
    sys.exit(main())
