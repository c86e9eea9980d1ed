"""`metrics.jsonl` of a run folder: the lines of its nodes, each node's in a file of its own, in the plan's order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from dsd_runtime.experiment.folder import NODE, RunFolder
from dsd_runtime.storage.durable import remove, write_text


def join_metrics(folder: RunFolder, keys: Iterable[str]) -> None:
    """Writes `metrics.jsonl` anew from the files of these nodes; a node that several phases share stands once."""
    text = "".join(_whole_lines(folder.node_metrics(key)) for key in dict.fromkeys(keys))
    if text or folder.metrics.is_file():
        write_text(folder.metrics, text, is_flushed=False)  # it can be joined again


def part_metrics(folder: RunFolder) -> None:
    """Gives each node its lines, in a folder of version 0.1, which had them in one file only."""
    lines: dict[str, list[str]] = {}
    for path in (folder.metrics, folder.unused_metrics):
        for line in _whole_lines(path).splitlines(keepends=True):
            lines.setdefault(_node_of(line), []).append(line)
    for key, found in lines.items():
        target = folder.node_metrics(key)
        if key and folder.node(key).is_dir() and not target.is_file():
            write_text(target, "".join(found))
    remove(folder.unused_metrics)


def _whole_lines(path: Path) -> str:
    """The text without an incomplete last line, which a killed process leaves."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return text[: text.rfind("\n") + 1]


def _node_of(line: str) -> str:
    """The node of a line; none for one that is damaged."""
    try:
        node = json.loads(line)["node"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return node if isinstance(node, str) and NODE.fullmatch(node) else ""
