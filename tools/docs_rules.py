"""Writes a page of the site for each rule, with what `dsd-lint` prints for its example.

The pages are the docstrings that `dsd-lint --explain` prints; an indented block after `::` is a schedule.
"""

from __future__ import annotations

import re
import textwrap

from docs_tables import severity_text, table

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.source import SourceText
from dsd_lang.lint.checking import check_text
from dsd_lang.report import CheckedFile, render
from dsd_lang.rules import page

FAMILIES = {
    "1": "Text",
    "2": "Names and layers",
    "3": "Order of phases",
    "4": "Numbers",
    "5": "Experiments",
    "9": "Advice",
}
_BLOCK = re.compile(r"^::\n\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_HEADING = re.compile(r"^(?P<title>\S.*)\n-{3,}$", re.MULTILINE)
_INDEX = """# Rules

`dsd-lint` reports all that a schedule has in one go. Each finding has a code that never changes its meaning. The first
digit is the family. `dsd-lint --explain CODE` prints the page of a code in the terminal.

`# dsd: ignore[CODE]` at the end of a line, or alone on the line above, silences a finding.
"""


def rule_pages() -> dict[str, str]:
    """Every page in `rules/` by its path."""
    return {"rules/index.md": index_page(), **{rule_path(code): rule_page(code) for code in CATALOGUE}}


def rule_path(code: str) -> str:
    """`rules/ends-sparse.md`."""
    return f"rules/{CATALOGUE[code].name}.md"


def codes_of(family: str) -> list[str]:
    """The codes of a family, in order."""
    return [code for code in CATALOGUE if code.removeprefix("DSD").startswith(family)]


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """The families with their pages, for the site's navigation."""
    return [
        {f"{title} ({family}xx)": [{f"{code} {CATALOGUE[code].name}": rule_path(code)} for code in codes_of(family)]}
        for family, title in FAMILIES.items()
    ]


def index_page() -> str:
    """The list of all rules by family."""
    parts = [_INDEX]
    for family, title in FAMILIES.items():
        rows = [
            (code, f"[{CATALOGUE[code].name}]({CATALOGUE[code].name}.md)", severity_text(code), summary(code))
            for code in codes_of(family)
        ]
        parts.append(f"\n## {title}\n\n{table(('code', 'name', 'severity', 'what is wrong'), rows)}")
    return "".join(parts)


def rule_page(code: str) -> str:
    """One rule: its manual page as Markdown, and the printed diagnostic."""
    entry = CATALOGUE[code]
    head = f"# {entry.name} ({code})\n\n**{severity_text(code)}** · family [{FAMILIES[code[3]]}](index.md)\n\n"
    body = markdown_of(manual(code))
    shown = rendered_example(code)
    return head + body + (f"\n## What dsd-lint prints\n\n```text\n{shown}```\n" if shown else "")


def manual(code: str) -> str:
    """The page of a code; a code without one is an error in the catalogue."""
    text = page(code)
    if text is None:
        raise ValueError(f"{code} has no page: write dsd_lang/rules/{CATALOGUE[code].name.replace('-', '_')}.py")
    return text


def summary(code: str) -> str:
    """The first line of a page."""
    return manual(code).strip().splitlines()[0]


def markdown_of(text: str) -> str:
    """Converts the docstring's markup to Markdown: headings, and `::` blocks as schedules."""
    titled = _HEADING.sub(lambda match: f"## {match['title']}\n", text.strip() + "\n")
    return _BLOCK.sub(lambda match: f"```dsd\n{textwrap.dedent(match[1]).strip()}\n```\n\n", titled).rstrip() + "\n"


def example_of(code: str) -> str | None:
    """The first schedule of a page, which shows the mistake."""
    match = re.search(r"^```dsd\n(.*?)^```$", markdown_of(manual(code)), re.MULTILINE | re.DOTALL)
    return None if match is None else match[1]


def rendered_example(code: str) -> str:
    """The output of `dsd-lint` for the page's example; empty if a model or a file is needed to show it."""
    text = example_of(code)
    if text is None:
        return ""
    found = tuple(item for item in check_text(text, selected=frozenset(CATALOGUE)) if item.code == code)
    if not found:
        return ""
    return render([CheckedFile("example.dsd", SourceText(text), found)], "full", is_coloured=False).rstrip() + "\n"
