"""The tables of the page "Which tool has it": other tools' cells from `peers.toml`, dsd's own from the registries.

A row that names an option (`by=snip`) says for dsd what `dsd-run` does with it, so it changes with the registry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from docs_methods import page_of
from docs_tables import table

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.options import Option

FAMILIES = ("scores", "places", "moving", "training", "beyond")
ANSWERS = ("yes", "part", "no", "not found")


@cache
def peers() -> dict[str, list[dict[str, str]]]:
    """The rows of `peers.toml`, below `tool` and `row`."""
    parsed: dict[str, Any] = tomllib.loads((Path(__file__).parent / "peers.toml").read_text(encoding="utf-8"))
    return parsed


def rows_of(family: str) -> list[dict[str, str]]:
    """The rows of one table, in the order of the file."""
    return [row for row in peers()["row"] if row["family"] == family]


def methods_of_peers(family: str) -> str:
    """A row for each method, a column for each tool."""
    tools = peers()["tool"]
    return table(
        ("method", "dsd", *(tool["name"] for tool in tools)),
        ([_method(row), _own(row), *(row.get(tool["key"], "no") for tool in tools)] for row in rows_of(family)),
    )


def checked_peers() -> str:
    """Version, date and kind of check of each tool."""
    return table(
        ("tool", "version", "date of the release", "checked"),
        ([tool["name"], tool["version"], tool["date"], tool["checked"]] for tool in peers()["tool"]),
    )


def option_of(row: dict[str, str]) -> Option | None:
    """The registry's option of a row that names one. Raises KeyError for one that is not registered."""
    if "option" not in row:
        return None
    argument, _, name = row["option"].partition("=")
    return {option.name: option for option in BY_NAME[argument].options}[name]


def _method(row: dict[str, str]) -> str:
    option = option_of(row)
    if option is None:
        return row["name"]
    argument = row["option"].partition("=")[0]
    return f"[`{row['option']}`](../{page_of(argument, option.name)})" + (f", {option.source}" if option.source else "")


def _own(row: dict[str, str]) -> str:
    option = option_of(row)
    if option is None:
        return row["dsd"]
    return "yes" if option.is_supported else "no, in the grammar only"


PEER_TABLES: dict[str, Callable[[], str]] = {
    **{f"peers-{family}": partial(methods_of_peers, family) for family in FAMILIES},
    "peers-checked": checked_peers,
}
