"""Writes the completion script for fish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.cli.command_lines import CommandLine, CommandOption, FlagValue


def fish_script(lines: Sequence[CommandLine]) -> str:
    """The complete script."""
    head = ["# Completion of the dsd tools for fish: dsd-completion fish | source", ""]
    return "\n".join([*head, *(text for line in lines for text in _lines(line))]) + "\n"


def _lines(line: CommandLine) -> Iterator[str]:
    other = {
        "schedule": f"complete -c {line.program} -k -x -a '(__fish_complete_suffix .dsd)'",
        "words": f"complete -c {line.program} -x -a '{' '.join(line.other.words)}'",
    }
    yield other.get(line.other.takes, f"complete -c {line.program} -f")
    for option in line.options:
        yield f"complete -c {line.program} -l {option.name.lstrip('-')} -d '{_quoted(option)}'{_value(option.value)}"


def _quoted(option: CommandOption) -> str:
    return option.help.replace("\\", "\\\\").replace("'", "\\'")


def _value(value: FlagValue) -> str:
    words = " ".join(value.words)
    if value.takes == "pairs":
        return f" -x -a '{' '.join(f'{word}=' for word in value.words)}'"
    return {
        "nothing": "",
        "words": f" -x -a '{words}'",
        "list": f" -x -a '(__fish_append , {words})'",
        "file": " -r -F",
        "folder": " -x -a '(__fish_complete_directories)'",
        "schedule": " -r -k -a '(__fish_complete_suffix .dsd)'",
    }.get(value.takes, " -x")
