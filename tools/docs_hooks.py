"""MkDocs hooks: regenerate tables, add generated pages, complete the navigation."""

from __future__ import annotations

from typing import Any

import docs_commands
import docs_methods
import docs_reports
import docs_rules
from docs_api import api_page
from docs_fences import for_the_site
from docs_markers import with_marked_parts
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def generated_pages() -> dict[str, str]:
    """Every page that is not in a file, by its path in docs/."""
    changes = (docs_commands.REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    made = {"api.md": api_page(), "changelog.md": changes}
    return {**docs_rules.rule_pages(), **docs_commands.command_pages(), **result_pages(), **made}


def result_pages() -> dict[str, str]:
    """The dated results of the benchmarks, unchanged."""
    results = sorted((docs_commands.REPOSITORY / "benchmarks" / "results").glob("*.md"))
    return {f"benchmarks/{path.name}": path.read_text(encoding="utf-8") for path in results}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds rules, commands and methods to the navigation, below the entries that name their index pages."""
    _extend(config.nav or [], "rules/index.md", docs_rules.navigation())
    _extend(config.nav or [], "commands/index.md", docs_commands.navigation())
    _extend(config.nav or [], docs_methods.INDEX, docs_methods.navigation())
    _extend(config.nav or [], "benchmarks/index.md", [{name.partition("/")[2][:-3]: name} for name in result_pages()])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the script of the reports, to what is on disk."""
    for path, content in {**generated_pages(), **docs_reports.shared_script()}.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Rewrites each page before it becomes HTML."""
    return for_the_site(with_marked_parts(markdown), path=page.file.src_uri)


def _extend(entries: list[Any], index: str, pages: list[Any]) -> None:
    for entry in entries:
        for content in entry.values() if isinstance(entry, dict) else ():
            if isinstance(content, list):
                if index in content:
                    content.extend(pages)
                _extend(content, index, pages)
