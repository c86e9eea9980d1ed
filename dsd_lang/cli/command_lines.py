"""Describes the command line of every installed tool: its flags, and the values that each takes.

Tools are found by the entry point group `dsd.command_lines`; each entry is a :class:`Tool` or returns an argparse
parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.cli.command import Tool
from dsd_lang.cli.flags import Flag

if TYPE_CHECKING:
    import argparse

Takes = Literal["nothing", "words", "list", "pairs", "file", "folder", "schedule", "free"]
_BY_METAVAR: dict[str, Takes] = {
    "FILE": "file", "RUN": "folder", "FOLDER": "folder", "RULES": "list", "KEY=VALUE": "pairs", "OTHER": "schedule",
}  # fmt: skip


class FlagValue(NamedTuple):
    """A value on a command line. ``words`` are the known ones; for `pairs`, the known words before the `=`."""

    takes: Takes
    words: tuple[str, ...] = ()


class CommandOption(NamedTuple):
    """One flag with its one-line help."""

    name: str
    help: str
    value: FlagValue


class CommandLine(NamedTuple):
    """One tool: its flags and its positional words."""

    program: str
    options: tuple[CommandOption, ...]
    other: FlagValue


def command_lines() -> tuple[CommandLine, ...]:
    """All installed tools, sorted by name."""
    from importlib.metadata import entry_points

    words = _known_words()
    entries = sorted(entry_points(group="dsd.command_lines"), key=lambda entry: entry.name)
    return tuple(_command_line(entry.name, entry.load(), words) for entry in entries)


def _command_line(
    program: str, declared: Tool | Callable[[], argparse.ArgumentParser], words: dict[str, tuple[str, ...]]
) -> CommandLine:
    flags = declared.flags if isinstance(declared, Tool) else tuple(_argparse_flags(declared()))
    options = tuple(CommandOption(flag.name, flag.help, _value(flag, words)) for flag in flags)
    return CommandLine(program, options, _other(program))


def _argparse_flags(parser: argparse.ArgumentParser) -> Iterator[Flag]:
    """The options of an argparse parser as :class:`CommandOption`."""
    for action in parser._actions:
        if not action.option_strings:
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        takes_value = action.nargs != 0
        metavar = str(action.metavar or "VALUE") if takes_value else ""
        yield Flag(action.option_strings[-1], action.help or "", metavar, choices)


def _value(flag: Flag, words: dict[str, tuple[str, ...]]) -> FlagValue:
    if not flag.metavar:
        return FlagValue("nothing")
    known = flag.choices or words.get(flag.name, ())
    takes = _BY_METAVAR.get(flag.metavar)
    return FlagValue(takes or ("words" if known else "free"), known)


def _other(program: str) -> FlagValue:
    if program == "dsd-completion":
        from dsd_lang.cli.completion import SHELLS

        return FlagValue("words", tuple(SHELLS))
    if program == "dsd-report":
        return FlagValue("folder")
    return FlagValue("nothing") if program == "dsd-lsp" else FlagValue("schedule")


def _known_words() -> dict[str, tuple[str, ...]]:
    """The known values of a flag, by its name, if the flag itself does not list them."""
    from dsd_lang.base.arguments import allowed_at
    from dsd_lang.base.diagnostics import CATALOGUE
    from dsd_lang.cli.installed import model_cards
    from dsd_lang.report import FORMATS
    from dsd_lang.starter.recipes import RECIPES

    cards = model_cards()
    rules = tuple(word for entry in CATALOGUE.values() for word in (entry.code, entry.name))
    return {
        "--model": tuple(cards),
        "--data": tuple(dict.fromkeys(card["data"].partition(":")[0] for card in cards.values())),
        "--recipe": tuple(RECIPES),
        "--output-format": tuple(FORMATS),
        "--explain": (*rules, "all"),
        **dict.fromkeys(("--select", "--extend-select", "--ignore"), ("ALL", *rules)),
        "--set": allowed_at("set"),
    }
