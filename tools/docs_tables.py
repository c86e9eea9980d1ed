"""Generates the tables of the language reference from the code, by the names that page markers use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dsd_lang.base.arguments import ARGUMENTS, Argument
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.layers import KINDS, PARTS, ROLES
from dsd_lang.base.metrics import METRICS, Metric
from dsd_lang.base.options import Option

VALUES: dict[str, str] = {
    "lr": "a number above 0, or arithmetic on `prev`, `last`, `base`",
    "number": "a number",
    "ratio": "a share",
    "whole": "a whole number",
    "length": "a length",
    "selectors": "selectors",
    "choice": "",
    "function": "",
    "decay": "",
    "source": "`@ref`",
    "distill": '`@ref(alpha=, T=)`, `"file"(model=, alpha=, T=)`',
    "clip": "a number",
    "text": "a string",
    "metric": "a metric",
    "scale": "a number above 0",
}


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in (headers, *rows)]
    return "".join([lines[0], "|---" * len(headers) + "|\n", *lines[1:]])


def arguments_table(group: str) -> str:
    """Name, default, values, meaning and statements of the arguments of a group, from the registry."""
    return table(
        ("argument", "default", "values", "meaning", "allowed on"),
        ([f"`{row.name}=`", _default(row), *_values_and_meaning(row)] for row in ARGUMENTS if row.group == group),
    )


def metrics_table() -> str:
    """Every built-in metric with its unit and direction."""
    return table(
        ("metric", "unit", "better", "meaning"),
        (
            (f"`*.{row.name}`" if row.has_split else f"`{row.name}`", row.unit or "-", _better(row), row.meaning)
            for row in METRICS
        ),
    )


def _better(row: Metric) -> str:
    return "higher" if row.higher_is_better else "lower"


def codes_table() -> str:
    """Every code with its name and severity."""
    rows = ((entry.code, entry.name, severity_text(entry.code)) for entry in CATALOGUE.values())
    return table(("code", "name", "severity"), rows)


def settings_of_phases() -> str:
    """The arguments of phases that are also allowed on `set`, on one line."""
    names = [row.name for row in ARGUMENTS if "set" in row.places and row.group != "settings"]
    return f"{' '.join(f'`{name}`' for name in names)}\n"


def selectors_table() -> str:
    """Every word that selects layers."""
    rows = [(f"`{word}`", "kind", meaning) for word, meaning in KINDS.items()]
    rows += [(f"`{word}`", "role", meaning) for word, meaning in ROLES.items()]
    rows += [(f"`.{part}`", "part", meaning) for part, meaning in PARTS.items()]
    return table(("word", "", "selects"), rows)


def severity_text(code: str) -> str:
    """`error`, `advice, off by default`."""
    entry = CATALOGUE[code]
    return entry.severity if entry.default else f"{entry.severity}, off by default"


def _default(argument: Argument) -> str:
    is_word = re.fullmatch(r"[\w./-]+", argument.default) and argument.default not in ("inherited", "required")
    return f"`{argument.default}`" if is_word else argument.default


def _values_and_meaning(argument: Argument) -> tuple[str, str, str]:
    refused = [option for option in argument.options if not option.is_supported]
    values = [_option(option) for option in argument.options if option.is_supported]
    if VALUES[argument.kind]:
        values.append(VALUES[argument.kind] + (", a share of the phase" if argument.may_be_share else ""))
    text = ", ".join(values)
    if refused:
        text += f"; *refused:* {', '.join(_option(option) for option in refused)}"
    if not argument.is_supported:
        text += "; *refused* but for the default"
    return text, argument.meaning, ", ".join(argument.places)


def _option(option: Option) -> str:
    if not option.parameters:
        return f"`{option.name}`"
    given = ", ".join(f"{parameter.name}=" if parameter.is_named else "x" for parameter in option.parameters)
    return f"`{option.name}({given})`"


GROUPS = tuple(dict.fromkeys(row.group for row in ARGUMENTS))
TABLES: dict[str, Callable[[], str]] = {
    **{f"arguments-{group}": partial(arguments_table, group) for group in GROUPS},
    "metrics": metrics_table,
    "codes": codes_table,
    "settings-of-phases": settings_of_phases,
    "selectors": selectors_table,
}
