"""Writes the completion script for zsh; it also works as an autoloaded file `_dsd`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.cli.command_lines import CommandLine, CommandOption, FlagValue


def zsh_script(lines: Sequence[CommandLine]) -> str:
    """The complete script."""
    programs = " ".join(line.program for line in lines)
    cases = [text for line in lines for text in _case(line)]
    return "\n".join(
        [
            f"#compdef {programs}",
            '# Completion of the dsd tools for zsh: eval "$(dsd-completion zsh)" after `compinit`',
            "",
            "_dsd() {",
            "  case $service in",
            *cases,
            "  esac",
            "}",
            "",
            'if [[ $funcstack[1] == "_dsd" ]]; then',
            '  _dsd "$@"',
            "else",
            f"  compdef _dsd {programs}",
            "fi",
            "",
        ]
    )


def _case(line: CommandLine) -> Iterator[str]:
    yield f"    {line.program})"
    specs = [_option(option) for option in line.options]
    action = _action(line.other)
    if line.other.takes == "words":
        specs.append(f"'1:{line.program.removeprefix('dsd-')}:{action}'")
    elif line.other.takes != "nothing":
        specs.append(f"'*:schedule:{action}'")
    yield "      _arguments -S " + " ".join(f"\\\n        {spec}" for spec in specs)
    yield "      ;;"


def _option(option: CommandOption) -> str:
    text = _quoted(option.help)
    if option.value.takes == "nothing":
        return f"'{option.name}[{text}]'"
    name = option.name.lstrip("-").replace("-", " ")
    return f"'*{option.name}=[{text}]:{name}:{_action(option.value)}'"


def _quoted(text: str) -> str:
    """Quotes help text for a zsh spec, within `[ ]` and single quotes."""
    escaped = text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    return escaped.replace("'", "'\\''")


def _action(value: FlagValue) -> str:
    words = " ".join(value.words)
    if value.takes == "pairs":
        return '{compadd -S "" - ' + " ".join(f"{word}=" for word in value.words) + "}"
    return {
        "words": f"({words})",
        "list": f"_values -s , rule {words}",
        "file": "_files",
        "folder": "_files -/",
        "schedule": '_files -g "*.dsd"',
    }.get(value.takes, " ")
