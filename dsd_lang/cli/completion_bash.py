"""Writes the completion script for bash 3.2 and later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.cli.command_lines import CommandLine, FlagValue

_HEAD = """\
# Completion of the dsd tools for bash: eval "$(dsd-completion bash)"

_dsd_words() { # the words that begin as $current does; $2 goes before each of them
  local IFS=$' \\n'
  COMPREPLY=($(compgen -P "$2" -W "$1" -- "$current"))
}

_dsd_list() { # the last item of a list with commas
  local before=""
  [[ $current == *,* ]] && before="${current%,*},"
  current="${current##*,}"
  _dsd_words "$1" "$before"
}

_dsd_pairs() { # what stands before an `=`, which is put behind it
  _dsd_words "$1" ""
  compopt -o nospace 2>/dev/null
}

_dsd_paths() { # files that match a pattern, and folders
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -d -- "$current"))
  [[ -n $1 ]] && COMPREPLY+=($(compgen -f -X "!$1" -- "$current" | while read -r path; do
    [[ -d $path ]] || printf '%s\\n' "$path"; done))
}

_dsd() {
  local program="${COMP_WORDS[0]##*/}" current="${COMP_WORDS[COMP_CWORD]}" flag="${COMP_WORDS[COMP_CWORD - 1]}"
  COMPREPLY=()
  if [[ $current == "=" ]]; then # bash takes `--flag=value` apart at the `=`
    current=""
  elif [[ $flag == "=" ]] && ((COMP_CWORD > 1)); then
    flag="${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  case "$program $flag" in
"""
_TAIL = "complete -F _dsd"


def bash_script(lines: Sequence[CommandLine]) -> str:
    """The complete script."""
    body = [*(case for line in lines for case in _values(line)), "  esac", '  case "$program" in']
    body += [case for line in lines for case in _others(line)]
    programs = " ".join(line.program for line in lines)
    return _HEAD + "\n".join([*body, "  esac", "}", "", f"{_TAIL} {programs}"]) + "\n"


def _values(line: CommandLine) -> Iterator[str]:
    """A `case` branch for each flag that takes a value."""
    for option in line.options:
        if option.value.takes != "nothing":
            yield f'    "{line.program} {option.name}") {_call(option.value)}; return ;;'


def _others(line: CommandLine) -> Iterator[str]:
    """What may be completed where no value is expected."""
    flags = " ".join(option.name for option in line.options)
    yield f'    {line.program}) if [[ $current == -* ]]; then _dsd_words "{flags}"; else {_call(line.other)}; fi ;;'


def _call(value: FlagValue) -> str:
    words = " ".join(value.words)
    if value.takes == "pairs":
        return f'_dsd_pairs "{" ".join(f"{word}=" for word in value.words)}"'
    return {
        "words": f'_dsd_words "{words}"',
        "list": f'_dsd_list "{words}"',
        "file": '_dsd_paths "*"',
        "folder": '_dsd_paths ""',
        "schedule": '_dsd_paths "*.dsd"',
    }.get(value.takes, ":")
