"""The documentation's tables of models and data sets, made from their registries without torch."""

from __future__ import annotations

from docs_tables import table

from dsd_lang.base.data_sets import DATA_SETS
from dsd_runtime.models.catalogue import MODELS, ModelSpec


def models_table() -> str:
    """Every built-in model: description, options with their defaults, default data."""
    rows = [[f"`{spec.name}`", spec.summary, _options(spec), f"`{spec.preset.data}`"] for spec in MODELS.values()]
    rows.append(["`torchvision:NAME`", "any classifier of torchvision", "", ""])
    rows.append(["`package.module:factory`", "your own", "what it takes", ""])
    return table(("name", "network", "options", "default `--data`"), rows)


def data_table() -> str:
    """Every named data set, and how it is written."""
    rows = [[f"`{row.name}{':PATH' if row.needs_path else ''}`", row.summary] for row in DATA_SETS.values()]
    rows.append(["`package.module:factory`", "your own"])
    return table(("name", "what it reads"), rows)


def _options(spec: ModelSpec) -> str:
    return f"`{' '.join(f'{name}={value}' for name, value in spec.options.items())}`"


CATALOGUE_TABLES = {"models": models_table, "data-sets": data_table}
