"""Builds the playground's own parts: the language as an archive, the examples, the page's script."""

from __future__ import annotations

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from playground_downloads import run

from dsd_lang import __version__, compile_file
from dsd_lang.editors.patterns import PatternPart, PatternRule, patterns
from dsd_lang.editors.vocabulary import vocabulary

_TORCH_FREE_RUNTIME = ("__init__.py", "models/__init__.py", "models/catalogue.py", "models/inventories.py")
_ENTRY_POINTS = ("dsd.inventories", "dsd.presets")
_LEFT_OUT = ("starter/",)
_TIME = (1980, 1, 1, 0, 0, 0)
_FENCE = re.compile(r"^```dsd(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)


def language_archive(repository: Path) -> bytes:
    """The language, the model catalogue and the page's modules as an importable archive; reproducible."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_modules(repository)):
            archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _modules(repository: Path) -> Iterator[tuple[str, bytes]]:
    package = repository / "dsd_lang"
    for path in (*package.rglob("*.py"), *package.rglob("*.json")):
        name = path.relative_to(package).as_posix()
        if not name.startswith(_LEFT_OUT):
            yield f"dsd_lang/{name}", path.read_bytes()
    for name in _TORCH_FREE_RUNTIME:
        yield f"dsd_runtime/{name}", (repository / "runtime" / "dsd_runtime" / name).read_bytes()
    for path in (repository / "docs" / "playground" / "app").glob("*.py"):
        yield path.name, path.read_bytes()
    folder = f"dsd_lang-{__version__}.dist-info"
    yield f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: dsd-lang\nVersion: {__version__}\n".encode()
    yield f"{folder}/entry_points.txt", _entry_points(repository).encode()


def _entry_points(repository: Path) -> str:
    """The entry points of the model catalogue, as an installer writes them."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = ((group, project["entry-points"][group]) for group in _ENTRY_POINTS)
    return "\n".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups
    )


_USED = re.compile(r'^use "([^"/]+)"', re.MULTILINE)


def examples(repository: Path) -> list[dict[str, Any]]:
    """README's schedule, the repository's, and the language page's, each with a group and a name for a menu.

    A schedule that uses others has their texts in ``files``, by name.
    """
    readme = _FENCE.search((repository / "README.md").read_text(encoding="utf-8"))
    assert readme is not None, "README begins with a schedule"
    found = [{"group": "Start", "name": "dense, sparse, dense", "text": readme["body"]}]
    for path in sorted((repository / "schedules").glob("*.dsd")):
        text = path.read_text(encoding="utf-8")
        if compile_file(path).phases:  # a file of definitions alone has no plan
            example: dict[str, Any] = {"group": "Schedules", "name": path.stem, "text": text}
            used = {name: (path.parent / name).read_text(encoding="utf-8") for name in _USED.findall(text)}
            found.append({**example, "files": used} if used else example)
    return [*found, *_of_language_page((repository / "docs" / "language.md").read_text(encoding="utf-8"))]


def _of_language_page(page: str) -> Iterator[dict[str, str]]:
    """Every schedule of the page under its heading; one with a mistake is labelled as such."""
    headings = [(match.start(), match["title"]) for match in _HEADING.finditer(page)]
    for match in _FENCE.finditer(page):
        title = next((title for start, title in reversed(headings) if start < match.start()), "Language")
        first = next(line.strip() for line in match["body"].splitlines() if line.strip(" #"))
        code = match["info"].split()[-1:]
        name = first.lstrip("# ") if len(first) <= 44 else first.lstrip("# ")[:43] + "…"
        yield {"group": f"Language: {title}", "name": " ".join([*code, name]), "text": match["body"]}


def pattern_table() -> dict[str, Any]:
    """The highlighter's patterns as plain data."""
    table = patterns(vocabulary())
    return {
        "parts": list(get_args(PatternPart)),
        "outside": table.outside,
        "groups": {name: [_plain(rule) for rule in rules] for name, rules in table.groups.items()},
        "regions": [
            {
                "name": region.name,
                "opens": _plain(region.opens),
                "ends": [_plain(rule) for rule in region.ends],
                "inside": region.inside,
            }
            for region in table.regions
        ],
    }


def _plain(rule: PatternRule) -> dict[str, Any]:
    return {"pattern": rule.pattern, "parts": [part for _, part in rule.stretches]}


def bundle_editor(app: Path, node_modules: Path, target: Path) -> None:
    """The page's script with the editor in it, one file."""
    table = node_modules.parent / "patterns.json"
    write_json(table, pattern_table())
    bundler = node_modules / ".bin" / "esbuild"
    command = [str(bundler), str(app / "main.js"), "--bundle", "--format=esm", "--minify", "--target=es2022"]
    run([*command, f"--alias:dsd-patterns={table}", f"--outfile={target}", "--log-level=error"], app, node_modules)


def write_json(path: Path, data: object) -> None:
    """Data as compact JSON."""
    path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
