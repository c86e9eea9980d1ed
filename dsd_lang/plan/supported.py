"""Finds what a plan uses that `dsd-run` does not support yet (DSD207), from the registries.

The functions take the plan's plain data (its JSON form), which the linter has before there is a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dsd_lang.base.arguments import ARGUMENTS, Argument
from dsd_lang.base.metrics import find_metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAY_BE_UNSUPPORTED = tuple(
    (row, row.attribute)
    for row in ARGUMENTS
    if not (row.is_supported and all(option.is_supported for option in row.options))
)


def unsupported_arguments(values: Mapping[str, Any]) -> Iterator[tuple[Argument, str]]:
    """The unsupported arguments among a phase's attributes (or the settings), and how each is written."""
    for row, attribute in _MAY_BE_UNSUPPORTED:
        value = values.get(attribute)
        if value is None:
            continue
        word = value.get("name", value.get("kind")) if isinstance(value, Mapping) else value
        option = row.option(word) if isinstance(word, str) else None
        if option is not None and not option.is_supported:
            yield row, f"{row.name}={option.name}"
        elif option is None and not row.is_supported:
            yield row, f"{row.name}="


def unsupported_metrics(condition: Mapping[str, Any] | None) -> Iterator[str]:
    """The metrics in a condition that nothing measures yet."""
    if condition is None:
        return
    if condition["kind"] == "metric":
        metric = find_metric(condition["name"])
        if metric is not None and not metric.is_supported:
            yield metric.name
    for part in condition.get("args", ()):
        yield from unsupported_metrics(part)


def unsupported_in_phase(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a phase uses that is not supported, and the argument that contains it (`until` for conditions)."""
    for row, written in unsupported_arguments(fields):
        yield written, row.name
    cycles = [cycle["until"] for cycle in fields.get("cycles", ())]
    for condition in (fields.get("until"), *cycles):
        for metric in unsupported_metrics(condition):
            yield metric, "until"
