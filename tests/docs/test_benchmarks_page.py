"""The figures of the benchmarks page are those of the results that it names."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "benchmarks" / "index.md").read_text(encoding="utf-8")


def test_every_figure_stands_in_the_results() -> None:
    names = set(re.findall(r"\]\((\d{4}-\d{2}-\d{2}[\w-]*\.md)\)", PAGE))
    results = "".join((REPOSITORY / "benchmarks" / "results" / name).read_text(encoding="utf-8") for name in names)
    figures = re.findall(r"\b\d+\.\d+\b", PAGE)
    assert len(figures) > 15
    assert [figure for figure in figures if figure not in results] == []
