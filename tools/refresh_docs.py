"""`python tools/refresh_docs.py [PAGE ...]` regenerates tables, transcripts and pictures of the pages.

Tests report when it is needed. Without arguments it processes every page in docs/; pages that train take a while.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from docs_console import corrected, has_commands
from docs_markers import with_marked_parts
from docs_pictures import DRAWN, picture

REPOSITORY = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    """Rewrites outdated pages and prints their names."""
    pages = [Path(argument) for argument in arguments] or sorted((REPOSITORY / "docs").rglob("*.md"))
    changed = [page for page in pages if _refresh(page)]
    for path in DRAWN:
        _write(REPOSITORY / "docs" / path, picture(path))
    sys.stdout.write("".join(f"rewritten: {page}\n" for page in changed) or "every page is up to date\n")
    return 0


def _refresh(page: Path) -> bool:
    text = page.read_text(encoding="utf-8")
    fresh = with_marked_parts(text)
    if has_commands(fresh):
        with tempfile.TemporaryDirectory() as folder:
            fresh = corrected(fresh, Path(folder))
    return _write(page, fresh)


def _write(path: Path, text: str) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
