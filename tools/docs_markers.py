"""Replaces the marked parts of a page by newly generated ones.

`<!-- table: NAME -->` is a table of the code (docs_tables), `<!-- file: PATH -->` a fence with a file below docs/;
`<!-- end -->` ends either. What stands between is committed, so that a page reads anywhere; it is made again at every
build of the site, and a test says when the two differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from docs_catalogue import CATALOGUE_TABLES
from docs_tables import TABLES

ALL_TABLES = {**TABLES, **CATALOGUE_TABLES}

DOCS = Path(__file__).resolve().parent.parent / "docs"
_MARKED = re.compile(r"<!-- (?P<kind>table|file): (?P<name>\S+) -->\n.*?<!-- end -->", re.DOTALL)
_LANGUAGES = {".yml": "yaml", ".json": "json"}


def with_marked_parts(markdown: str) -> str:
    """The page with the current tables and files."""
    return _MARKED.sub(_made, markdown)


def _made(match: re.Match[str]) -> str:
    kind, name = match["kind"], match["name"]
    content = ALL_TABLES[name]() if kind == "table" else _fence(DOCS / name)
    return f"<!-- {kind}: {name} -->\n{content}<!-- end -->"


def _fence(path: Path) -> str:
    return f"```{_LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"
