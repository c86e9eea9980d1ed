"""The notebook of the documentation runs, and shows plan, results and figure as it was committed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_notebook import as_markdown, executed

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "notebook.ipynb"


def shown(notebook: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """The id of each cell with the kind and the media types of its outputs."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            yield cell["id"], output["output_type"], sorted(output.get("data", ()))


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_it_showed(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra `run`: the notebook trains a model")
    committed = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    notebook = executed(committed, tmp_path)
    assert list(shown(notebook)) == list(shown(committed)), "run `python tools/docs_notebook.py`"
    html = ["".join(output["data"].get("text/html", "")) for cell in notebook["cells"]
            for output in cell.get("outputs", ()) if "data" in output]  # fmt: skip
    plan, results, *_ = (part for part in html if part)
    assert "<svg" in plan
    assert "<table" in results
    assert "<code>dsd</code> is" in results or "`dsd` is" in results
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()


def test_the_committed_notebook_shows_a_plan_results_and_a_figure() -> None:
    kinds = {kind for _, _, types in shown(json.loads(NOTEBOOK.read_text(encoding="utf-8"))) for kind in types}
    assert {"text/html", "application/vnd.vegalite.v5+json"} <= kinds


def cell(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": [source]}


@pytest.mark.parametrize(
    ("source", "outputs"),
    [
        ("x = 1", []),
        ("print('a')\n1 + 1", [("stream", ["a\n"]), ("execute_result", {"text/plain": ["2"]})]),
        ("None", []),
        (
            "class A:\n    def _repr_html_(self): return '<b>'\n    def __repr__(self): return 'A'\nA()",
            [("execute_result", {"text/html": ["<b>"], "text/plain": ["A"]})],
        ),
    ],
)
def test_a_cell_shows_what_it_prints_and_its_last_value(tmp_path: Path, source: str, outputs: list[Any]) -> None:
    done = executed({"cells": [cell(source)]}, tmp_path)["cells"][0]["outputs"]
    assert [(one["output_type"], one.get("text", one.get("data"))) for one in done] == outputs


def test_a_page_shows_text_and_code_without_the_heading(tmp_path: Path) -> None:
    file = tmp_path / "a.ipynb"
    text = {"cell_type": "markdown", "source": ["Look."]}
    file.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Title"]}, text, cell("x = 1")]}))
    assert as_markdown(file) == "Look.\n\n```py\nx = 1\n```\n"
