"""Writes arguments, phases and manual pages as Markdown for hovers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import CATALOGUE, rule_url
from dsd_lang.base.expected_values import expected
from dsd_lang.base.options import Option

_HEADING = re.compile(r"^(?P<title>[^\n]+)\n-{3,}$", re.MULTILINE)
_BLOCK = re.compile(r"::\n\n(?P<lines>(?:(?: {4}[^\n]*)?\n)*(?: {4}[^\n]*)?)")


def argument_page(row: Argument) -> str:
    """An argument's meaning, default, values, and where it is allowed."""
    statements = ", ".join(f"`{statement}`" for statement in row.places)
    lines = [
        f"**`{row.name}=`** {row.meaning}",
        "",
        f"* default: `{row.default}`",
        f"* takes: {expected(row)}",
        f"* allowed in: {statements}",
    ]
    if not row.is_supported:
        lines.append("* not executed yet: `dsd-run` refuses any value but the default (DSD207)")
    return "\n".join(lines)


def option_page(row: Argument, option: Option) -> str:
    """One value of an argument."""
    named = [f"`{name}=`" for name in option.named]
    takes = f"; takes {', '.join(named)}" if named else ""
    refused = "" if option.is_supported else "; not executed yet: `dsd-run` refuses it (DSD207)"
    default = "; the default" if row.default == option.name else ""
    source = f"; source: {option.source}" if option.source else ""
    return f"**`{option.name}`** a value of `{row.name}=` ({row.meaning}){default}{takes}{refused}{source}"


def rule_page(code: str) -> str | None:
    """The manual page of a code, with its headings and examples as Markdown."""
    from dsd_lang.rules import page

    text = page(code)
    if text is None:
        return None
    entry = CATALOGUE[code]
    body = _BLOCK.sub(_fenced, _HEADING.sub(lambda found: f"#### {found['title']}", text.strip()))
    return f"### [{code}]({rule_url(code)}) {entry.name} ({entry.severity})\n\n{body}"


def _fenced(found: re.Match[str]) -> str:
    lines = [line.removeprefix("    ") for line in found["lines"].strip("\n").split("\n")]
    return "\n".join(["```dsd", *lines, "```", ""])


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; `|` in cells is escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def literal(text: str) -> str:
    """A user's text as Markdown that shows it unchanged, line by line."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+\-.!|<>&~])", r"\\\1", text)
    return escaped.replace("\n", "  \n")
