"""`dsd-lint --fix`, `--unsafe-fixes` and `--diff`: applies fixes to files or shows them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.base.streams import write_bytes
from dsd_lang.cli.flags import Given
from dsd_lang.cli.lint import diagnostics_of
from dsd_lang.cli.options import is_coloured, read_source, write_output
from dsd_lang.cli.rewrite import rewrite_file
from dsd_lang.lint.checking import check_text
from dsd_lang.lint.fixes import mend
from dsd_lang.report import CheckedFile

Job = tuple[str, str, frozenset[str], tuple[LayerInfo, ...] | None]
ShowReport = Callable[[Sequence[CheckedFile], int, bool], int]


class Repaired(NamedTuple):
    """A fixed file: its remaining diagnostics, the text before, and the number of diagnostics fixed."""

    path: str
    file: CheckedFile
    before: str
    num_fixed: int

    @property
    def is_changed(self) -> bool:
        return self.file.source.text != self.before


def repair_all(jobs: Sequence[Job], options: Given, problems: list[DsdError], report: ShowReport) -> int:
    """Fixes every file and reports the remaining diagnostics; with `--diff`, shows the changes.

    Returns the exit status.

    Files that could not be read or written are added to ``problems``.
    """
    is_unsafe, is_dry = options.has("--unsafe-fixes"), options.has("--diff")
    repaired: list[Repaired] = []
    for path, name, selected, layers in jobs:
        try:
            one = repair(path, name, unsafe=is_unsafe, selected=selected, layers=layers)
            if not is_dry:
                _hand_out(one)
            repaired.append(one)
        except DsdError as problem:
            problems.append(problem)
    if problems and not repaired:
        return 2
    if is_dry:
        return _show(repaired, options)
    is_aside = any(one.path == "-" for one in repaired) and options.last("--output-file") is None
    return report([one.file for one in repaired], sum(one.num_fixed for one in repaired), is_aside)


def repair(
    path: str, name: str, *, unsafe: bool, selected: frozenset[str], layers: tuple[LayerInfo, ...] | None
) -> Repaired:
    """Fixes one file in memory; a file that is not UTF-8 is left unchanged."""
    text, unreadable = read_source(path)
    if unreadable:
        if path == "-":
            raise DsdError("stdin is not UTF-8 text, so nothing was fixed", help="save the file as UTF-8")
        found = diagnostics_of(text, unreadable, name, selected=selected, layers=layers)
        return Repaired(path, CheckedFile(name, SourceText(text), found), text, 0)
    try:
        check = partial(check_text, selected=selected, layers=layers, source=name)
        mended = mend(text, check, unsafe=unsafe, chosen=selected, source=name)
    except DsdError as error:
        raise DsdError(f"`{name}`: {error.message}", help=error.help) from error
    return Repaired(path, CheckedFile(name, SourceText(mended.text), mended.diagnostics), text, len(mended.applied))


def _hand_out(repaired: Repaired) -> None:
    """Writes the file if it changed; the text of stdin always goes to stdout."""
    if repaired.path == "-":
        write_bytes(repaired.file.source.text.encode("utf-8"))
    elif repaired.is_changed:
        rewrite_file(repaired.path, repaired.file.source.text)


def _show(repaired: Sequence[Repaired], options: Given) -> int:
    from dsd_lang.report.difference import unified_diff

    output_file = options.last("--output-file")
    choice = options.last("--color") or ("never" if output_file is not None else "auto")
    has_colour = is_coloured(choice, is_terminal=sys.stdout.isatty())
    changed = [one for one in repaired if one.is_changed]
    differences = (
        unified_diff(one.file.name, one.before, one.file.source.text, is_coloured=has_colour) for one in changed
    )
    write_output("".join(differences), output_file)
    if not options.has("--quiet"):
        num_fixed = sum(one.num_fixed for one in changed)
        files = "1 file" if len(changed) == 1 else f"{len(changed)} files"
        told = f"{num_fixed} would be fixed in {files}" if changed else "nothing to fix"
        write_output(f"{told}\n", None, is_aside=True)
    return 1 if changed and not options.has("--exit-zero") else 0
