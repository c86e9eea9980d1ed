"""Generates the grammar files of the VS Code extension: `python -m dsd_lang.editors.build [FOLDER]`.

Run it after every change to the grammar, the arguments or the patterns. A test rebuilds the files and compares them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dsd_lang.editors.patterns import patterns
from dsd_lang.editors.snippets import snippets
from dsd_lang.editors.textmate import grammar, markdown_injection
from dsd_lang.editors.vocabulary import vocabulary

EXTENSION = Path(__file__).resolve().parents[2] / "editors" / "vscode"


def generated() -> dict[str, str]:
    """The text of every generated file, by its path in the extension."""
    words = vocabulary()
    listed = {
        snippet.meaning: {"prefix": snippet.prefix, "body": list(snippet.body), "description": snippet.meaning}
        for snippet in snippets(words)
    }
    files: dict[str, dict[str, Any]] = {
        "syntaxes/dsd.tmLanguage.json": grammar(patterns(words)),
        "syntaxes/dsd.markdown.tmLanguage.json": markdown_injection(),
        "snippets/dsd.json": listed,
    }
    return {name: json.dumps(data, indent=2, ensure_ascii=False) + "\n" for name, data in files.items()}


def main(folder: Path = EXTENSION) -> int:
    """Writes the files."""
    for name, text in generated().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:2])))
