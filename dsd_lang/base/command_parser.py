"""The argparse parser of the runtime's tools: help that cannot be written is an error, as in the other tools."""

from __future__ import annotations

import argparse
import sys
from typing import IO, Any, TextIO, cast

from dsd_lang.base.streams import say, write_to_stream


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises :class:`DsdError` where argparse ignores that its help cannot be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        stream: IO[str] = sys.stderr if file is None else file
        if stream is sys.stderr:
            say(message)
        else:
            write_to_stream(cast(TextIO, stream), message, "stdout")
