"""Replaces the marked parts of a page by newly generated ones.

`<!-- table: NAME -->` is a table of the code (docs_tables), `<!-- method: by=snip -->` what the registry knows of a
method, `<!-- file: PATH -->` a fence with a file below docs/, `<!-- notebook: PATH -->` the text and code of a notebook
there; `<!-- end -->` ends each. What stands between is committed, so that a page reads anywhere; it is made again at
every build of the site, and a test says when the two differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from docs_catalogue import CATALOGUE_TABLES
from docs_methods import METHOD_TABLES, facts
from docs_notebook import as_markdown
from docs_peers import PEER_TABLES
from docs_tables import TABLES

ALL_TABLES = {**TABLES, **CATALOGUE_TABLES, **METHOD_TABLES, **PEER_TABLES}

DOCS = Path(__file__).resolve().parent.parent / "docs"
_MARKED = re.compile(r"<!-- (?P<kind>table|file|notebook|method): (?P<name>\S+) -->\n.*?<!-- end -->", re.DOTALL)
_LANGUAGES = {".yml": "yaml", ".json": "json"}


def with_marked_parts(markdown: str) -> str:
    """The page with the current tables and files."""
    return _MARKED.sub(_made, markdown)


def _made(match: re.Match[str]) -> str:
    kind, name = match["kind"], match["name"]
    content = {"table": _table, "file": _fence, "notebook": _notebook, "method": facts}[kind](name)
    return f"<!-- {kind}: {name} -->\n{content}<!-- end -->"


def _table(name: str) -> str:
    return ALL_TABLES[name]()


def _notebook(name: str) -> str:
    return as_markdown(DOCS / name)


def _fence(name: str) -> str:
    path = DOCS / name
    return f"```{_LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"
