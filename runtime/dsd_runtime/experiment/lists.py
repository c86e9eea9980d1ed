"""`--list-models` and `--list-data`: one line for each entry, with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsd_lang.base.data_sets import DATA_SETS
from dsd_runtime.models.catalogue import MODELS

_OWN = "package.module:factory"


def models_text() -> str:
    """Every built-in model with its options and default data; torch is not loaded."""
    entries = [
        (spec.name, spec.summary, f"{_options(spec.options)}; trains on {spec.preset.data}") for spec in MODELS.values()
    ]
    entries.append(("torchvision:NAME", "any classifier of torchvision", "default data: digits"))
    entries.append((_OWN, "your own", "the function's own arguments; --data names the data set"))
    return _listed("--model NAME[:option=value,...], with the default of each option", entries)


def data_text() -> str:
    """Every data set with the options of its loader."""
    from dsd_runtime.data.registry import loader_options

    entries = [
        (row.name + (":PATH" if row.needs_path else ""), row.summary, _options(loader_options(row.name)))
        for row in DATA_SETS.values()
    ]
    entries.append((_OWN, "your own", "whatever it takes"))
    return _listed("--data NAME[:PATH][,option=value...], with the default of each option", entries)


def _options(options: Mapping[str, object]) -> str:
    return " ".join(name if value is None else f"{name}={_word(value)}" for name, value in options.items())


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _listed(head: str, entries: Sequence[tuple[str, str, str]]) -> str:
    width = max(len(name) for name, _, _ in entries)
    lines = [head, ""]
    for name, summary, options in entries:
        lines.append(f"{name.ljust(width)}  {summary}")
        lines += [" " * (width + 2) + options] if options else []
    return "\n".join(lines) + "\n"
