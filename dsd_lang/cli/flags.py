"""Parses command lines: the part of argparse that the tools need, at a twentieth of its import time.

It knows `--name value`, `--name=value`, switches, `--` and positional words. A mistake raises :class:`DsdError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.named_tuples import NamedTuple

_HELP_COLUMN = 26


class Flag(NamedTuple):
    """One option. Without a ``metavar`` it is a switch; ``repeats`` collects the values of every use.

    On the help page it is listed under the heading of its ``group``.
    """

    name: str
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    repeats: bool = False
    group: str = "options"


class Given(NamedTuple):
    """A parsed command line: flags by name (a switch has an empty list) and positional words."""

    values: dict[str, list[str]]
    words: list[str]

    def last(self, name: str) -> str | None:
        """The value of a flag; the last one if it was given several times."""
        values = self.values.get(name)
        return values[-1] if values else None

    def has(self, name: str) -> bool:
        """Whether the flag was given."""
        return name in self.values


def read_flags(arguments: Sequence[str], flags: Sequence[Flag]) -> Given:
    """Parses the command line; raises :class:`DsdError` for anything it does not know."""
    by_name = {flag.name: flag for flag in flags}
    values: dict[str, list[str]] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, has_value, value = word.partition("=")
        flag = by_name.get({"-h": "--help"}.get(name, name))
        if flag is None:
            guess = nearest(name, list(by_name))
            raise DsdError(
                f"unknown option `{name}`", help=f"did you mean `{guess}`?" if guess else "`--help` lists them all"
            )
        found = values.setdefault(flag.name, [])
        if not flag.metavar and has_value:
            raise DsdError(f"the option `{name}` takes no value")
        if flag.metavar:
            if not has_value and not rest:
                raise DsdError(f"the option `{name}` needs a value: {flag.metavar}")
            found.append(_checked(flag, value if has_value else rest.pop(0)))
    return Given(values, words)


def _checked(flag: Flag, value: str) -> str:
    if flag.choices and value not in flag.choices:
        raise DsdError(f"`{flag.name}` cannot be `{value}`", help=f"it is one of {', '.join(flag.choices)}")
    return value


def help_text(usage: str, description: str, flags: Sequence[Flag], epilogue: str) -> str:
    """The text that `--help` prints."""
    lines = [f"usage: {usage}", "", description]
    group = ""
    for flag in flags:
        if flag.group != group:
            group = flag.group
            lines += ["", f"{group}:"]
        left = f"  {flag.name} {flag.metavar}".rstrip()
        if len(left) >= _HELP_COLUMN:
            lines += [left, " " * _HELP_COLUMN + flag.help]
        else:
            lines.append(left.ljust(_HELP_COLUMN) + flag.help)
    return "\n".join([*lines, "", epilogue]) + "\n"
