"""Runs the body of a command-line tool: parses flags, prints help and version."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable, Sequence

from dsd_lang import __version__
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.streams import guarded
from dsd_lang.cli.flags import Flag, Given, help_text, read_flags
from dsd_lang.cli.options import write_output


class Tool(NamedTuple):
    """The contents of a tool's `--help`."""

    program: str
    usage: str
    description: str
    flags: tuple[Flag, ...]
    epilogue: str


def run_tool(tool: Tool, body: Callable[[Given], int], arguments: Sequence[str] | None) -> int:
    """Parses the command line (``sys.argv`` for None), handles `--help` and `--version`, else runs ``body``."""
    gc.disable()  # a short run has little garbage, and a large schedule has many small tuples to scan
    atexit.register(gc.freeze)  # nothing that is left needs to be scanned when the process ends
    return guarded(tool.program, lambda: _run(tool, body, sys.argv[1:] if arguments is None else arguments))


def _run(tool: Tool, body: Callable[[Given], int], arguments: Sequence[str]) -> int:
    given = read_flags(arguments, tool.flags)
    if given.has("--help"):
        write_output(help_text(tool.usage, tool.description, tool.flags, tool.epilogue), None)
        return 0
    if given.has("--version"):
        write_output(f"{tool.program} {__version__}\n", None)
        return 0
    return body(given)
