"""Loads the parser's table from `table.json`."""

from __future__ import annotations

import json
import os
from typing import NamedTuple


class Rule(NamedTuple):
    """One production: the symbol it reduces to, its number of symbols, what it builds, which children it keeps.

    ``builds`` is "" (pass on the only child), "[]" (a list added to the parent's children) or the name of a node. A
    kept child is its index and whether it is such a list.
    """

    symbol: str
    length: int
    builds: str
    kept: tuple[tuple[int, int], ...]


class Table(NamedTuple):
    """The LALR table: a row for each state, from symbol to the next state, or to ~rule to reduce."""

    rows: list[dict[str, int]]
    rules: list[Rule]
    keywords: dict[str, str]
    marks: dict[str, str]
    patterns: dict[str, str]


def load_table() -> Table:
    """The table written by `python -m dsd_lang.syntax.build_table`."""
    with open(os.path.join(os.path.dirname(__file__), "table.json"), "rb") as file:
        data = json.loads(file.read())
    names: list[str] = data["symbols"]
    rows = [dict(zip([names[symbol] for symbol in flat[::2]], flat[1::2], strict=True)) for flat in data["states"]]
    rules = [
        Rule(names[symbol] if symbol >= 0 else "", length, builds, tuple((position, joins) for position, joins in kept))
        for symbol, length, builds, kept in data["rules"]
    ]
    return Table(rows, rules, data["keywords"], data["marks"], data["patterns"])
