"""Runs the cells of a notebook without Jupyter and writes what they show; shows a notebook on a page.

    python tools/docs_notebook.py docs/how-to/notebook.ipynb

The value of a cell's last expression is shown as Jupyter does it: by `_repr_mimebundle_`, `_repr_html_`, or as text.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Executes notebooks in a new folder each, and writes them with their outputs."""
    os.environ["COLUMNS"] = "100"
    for path in map(Path, arguments):
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(json.loads(path.read_text(encoding="utf-8")), Path(folder))
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def executed(notebook: Notebook, folder: Path) -> Notebook:
    """The notebook with the outputs of its cells, run in order in ``folder``; raises what a cell raises."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    with chdir(folder):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                outputs = _outputs("".join(cell["source"]), namespace, count)
                cell = {**cell, "execution_count": count, "outputs": outputs}
            cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, namespace: dict[str, Any], count: int) -> list[dict[str, Any]]:
    tree = ast.parse(source, f"<cell {count}>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, f"<cell {count}>", "exec"), namespace)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"<cell {count}>", "eval"), namespace)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        shown = {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": _data(value)}
        outputs.append(shown)
    return outputs


def _data(value: object) -> dict[str, Any]:
    """The value by media type."""
    if hasattr(value, "_repr_mimebundle_"):
        bundle: dict[str, Any] = value._repr_mimebundle_()
        return bundle
    text = {"text/plain": repr(value).splitlines(True)}
    return {"text/html": value._repr_html_().splitlines(True), **text} if hasattr(value, "_repr_html_") else text


def as_markdown(path: Path) -> str:
    """The text and code of a notebook; its heading is that of the page."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            parts.append(f"```py\n{source}\n```\n")
        elif not source.startswith("# "):
            parts.append(f"{source}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
