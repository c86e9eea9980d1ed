"""Rewrites a page's Markdown for the site builder.

Fences that name a code get a title, command lines a mark, codes in tables a link; a list of contents goes, since the
site has its own.
"""

from __future__ import annotations

import posixpath
import re

from docs_rules import rule_path

from dsd_lang.base.diagnostics import CATALOGUE

_FENCE = re.compile(
    r'^```dsd (?P<severity>error|warning|advice) (?P<code>DSD\d{3})(?P<file> title="[^"]+")?$', re.MULTILINE
)
_CONSOLE = re.compile(r"^```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CONTENTS = re.compile(r"^Contents: (?:\[.*\n)+\n", re.MULTILINE)
_ROW = re.compile(r"^\| (?P<code>DSD\d{3}) \| (?P<name>[a-z0-9-]+) \|", re.MULTILINE)


def for_the_site(markdown: str, *, path: str) -> str:
    """The page at ``path`` (in docs/), ready for the builder."""
    folder = posixpath.dirname(path)
    titled = _FENCE.sub(lambda match: f"```dsd{match['file'] or _title(match['severity'], match['code'])}", markdown)
    titled = _CONSOLE.sub(_with_commands_marked, _CONTENTS.sub("", titled))
    return _ROW.sub(lambda match: _linked(match["code"], match["name"], folder), titled)


def _title(severity: str, code: str) -> str:
    return f' title="{severity}[{code}]: {CATALOGUE[code].name}"'


def _with_commands_marked(match: re.Match[str]) -> str:
    """A transcript as plain text, so that output is not taken for a prompt."""
    lines = match["body"].splitlines()
    marked = " ".join(str(number) for number, line in enumerate(lines, start=1) if line.startswith("$ "))
    return f'```text hl_lines="{marked}"\n{match["body"]}```'


def _linked(code: str, name: str, folder: str) -> str:
    return f"| {code} | [{name}]({posixpath.relpath(rule_path(code), folder or '.')}) |"
