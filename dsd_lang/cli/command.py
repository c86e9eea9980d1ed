"""Runs the body of a command-line tool: parses flags, prints help and version, maps exceptions to exit statuses.

Exit 2 for usage errors and failed inputs (one sentence) and for bugs (one sentence and the traceback); 130 for Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dsd_lang import __version__
from dsd_lang.base.errors import DsdError, internal_error_text
from dsd_lang.base.streams import drop_streams, is_lost_output, lost_output, open_streams, say, say_error
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
    open_streams()
    try:
        given = read_flags(sys.argv[1:] if arguments is None else arguments, tool.flags)
        if given.has("--help"):
            write_output(help_text(tool.usage, tool.description, tool.flags, tool.epilogue), None)
            return 0
        if given.has("--version"):
            write_output(f"{tool.program} {__version__}\n", None)
            return 0
        return body(given)
    except DsdError as error:
        say_error(error, tool.program)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        drop_streams()
        return 1
    except Exception as error:  # noqa: BLE001  (whatever else happens is a bug of ours, and told as one)
        if isinstance(error, OSError) and is_lost_output(error):
            say_error(lost_output(error), tool.program)
        else:
            say(internal_error_text(tool.program, error))
        return 2
