"""The pictures of the pages are those that the code draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_pictures import DRAWN, picture

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("path", DRAWN)
def test_a_picture_is_as_it_is_drawn(path: str) -> None:
    assert (DOCS / path).read_text(encoding="utf-8") == picture(path), "run `python tools/refresh_docs.py`"
    assert any(path in page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
