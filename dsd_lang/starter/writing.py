"""Writes a starter in canonical form, with its source and commands at the top."""

from __future__ import annotations

from dsd_lang.starter.choices import Choices
from dsd_lang.starter.paper import PAPER
from dsd_lang.starter.recipes import Recipe
from dsd_lang.syntax.formatter import format_text


def starter_text(recipe: Recipe, choices: Choices, *, name: str) -> str:
    """The schedule; ``name`` is the file name in the commands at its top.

    >>> from dsd_lang.starter.recipes import RECIPES
    >>> print(starter_text(RECIPES["one-shot"], Choices(), name="x.dsd").splitlines()[0])
    # Prune once by magnitude, then train on with the mask.
    """
    model = "" if choices.model else " --model NAME"
    head = [
        f"# {recipe.summary}",
        f"# Source: {recipe.source.format(table=_table_of(choices))}.",
        f"# Plan: dsd-plan {name}{model}",
        f"# Run:  dsd-run {name}{model}",
        "",
    ]
    return format_text("\n".join([*head, *recipe.body(choices)]) + "\n")


def _table_of(choices: Choices) -> str:
    run = choices.paper
    return f"{run.table} ({run.network})" if run in PAPER.values() else run.table
