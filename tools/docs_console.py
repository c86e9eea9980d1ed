"""Runs the command lines of transcripts in pages and replaces their output, so that transcripts are real.

A fence `console` holds lines `$ COMMAND`, each followed by what it prints; a line `...` stands for any lines. A fence
with `title="FILE"` writes that file before the commands below it run. Each page has a folder of its own.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docs_commands import environment, launcher, scripts

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="(?P<name>[^"]+\.\w+)"')
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_TIME = re.compile(r"(?:\d+h )?(?:\d+m )?\b\d+(?:\.\d+)?m?s\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_COLUMNS = re.compile(r"(?: {2,}|-{2,})+")


class Shown(NamedTuple):
    """One command of a page and its output on the page; ``span`` is the range of that output."""

    command: str
    output: str
    span: tuple[int, int]

    @property
    def is_training(self) -> bool:
        """Whether a model is trained: then times and figures vary, and only the words are compared."""
        return any(word in self.command for word in ("dsd-run", "runs/"))


class Written(NamedTuple):
    """A file that a page shows."""

    name: str
    content: str


def steps(markdown: str) -> Iterator[Shown | Written]:
    """The files and commands of a page in order."""
    for fence in FENCE.finditer(markdown):
        title = _TITLE.search(fence["info"])
        if fence["info"].split()[:1] == ["console"]:
            for match in _COMMAND.finditer(fence["body"]):
                start = fence.start("body") + match.start("output")
                yield Shown(match["command"], match["output"], (start, start + len(match["output"])))
        elif title is not None:
            yield Written(title["name"], fence["body"])


def has_commands(markdown: str) -> bool:
    """Whether a page has a command that is run."""
    return any(isinstance(step, Shown) for step in steps(markdown))


def trains(markdown: str) -> bool:
    """Whether one of a page's commands trains a model."""
    return any(isinstance(step, Shown) and step.is_training for step in steps(markdown))


def run_page(markdown: str, folder: Path) -> Iterator[tuple[Shown, str]]:
    """Every command of a page, run in order in ``folder``, with what it printed."""
    for step in steps(markdown):
        if isinstance(step, Written):
            target = folder / step.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.content, encoding="utf-8")
        else:
            yield step, printed(step.command, folder)


def printed(command: str, folder: Path) -> str:
    """The output of a command, both streams in the order they were written."""
    words = shlex.split(command)
    line = [*launcher(words[0]), *words[1:]] if words[0] in scripts() else words
    if words[0] == "python":
        line = [sys.executable, *words[1:]]
    done = subprocess.run(
        line, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    text = done.stdout.decode()
    if "internal error" in text:
        raise RuntimeError(f"`{command}` failed, and that is no transcript:\n{text}")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def agrees(step: Shown, output: str) -> bool:
    """Whether a page shows the actual output."""
    shown, real = (_comparable(text, is_exact=not step.is_training) for text in (step.output, output))
    pattern = "\n".join("(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in shown.splitlines())
    return re.fullmatch(pattern.replace("(?:.*\n)*?.*\n", "(?:.*\n)*?"), real.rstrip("\n")) is not None


def _comparable(text: str, *, is_exact: bool) -> str:
    text = text.rstrip("\n") + "\n"
    if is_exact:
        return text
    for pattern, replacement in ((_TIME, "TIME"), (_NUMBER, "N"), (_COLUMNS, " ")):
        text = pattern.sub(replacement, text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def corrected(markdown: str, folder: Path) -> str:
    """The page with every outdated output replaced."""
    for step, output in reversed(list(run_page(markdown, folder))):
        if not agrees(step, output):
            start, end = step.span
            markdown = markdown[:start] + output.rstrip("\n") + ("\n" if output.strip() else "") + markdown[end:]
    return markdown
