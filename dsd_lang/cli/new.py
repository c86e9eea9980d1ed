"""`dsd-new NAME.dsd` writes a commented schedule to start from. Exit 0 written, 2 for usage errors or failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.files import SUFFIX
from dsd_lang.base.units import Length, exact, parse_length
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.installed import model_cards, model_preset
from dsd_lang.cli.options import write_output
from dsd_lang.starter.recipes import RECIPES, Recipe
from dsd_lang.starter.writing import starter_text

if TYPE_CHECKING:
    from dsd_lang.starter.choices import Choices

PROGRAM = "dsd-new"
DEFAULT_RECIPE = "dsd"
EPILOGUE = """exit status: 0 written, 2 bad usage or a failure of the tool.
On a terminal, without options, it asks. Networks of the paper get the paper's lengths and learning rates."""
FLAGS = (
    Flag("--recipe", f"what to write: {', '.join(RECIPES)} (default: {DEFAULT_RECIPE})", "RECIPE"),
    Flag("--model", "the network, such as `ds2` (default: none)", "NAME"),
    Flag("--length", "how long each phase trains, such as `10ep` or `500it`", "LENGTH"),
    Flag("--sparsity", "the share that is pruned, such as `50%`", "SHARE"),
    Flag("--list", "print the recipes and the models"),
    Flag("--force", "overwrite the file"),
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(
    PROGRAM, f"{PROGRAM} [options] NAME.dsd   (`-` is stdout)", "Write a schedule to start from.", FLAGS, EPILOGUE
)
CHOICES = ("--recipe", "--model", "--length", "--sparsity")


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(given: Given) -> int:
    """Runs the tool after the command line is parsed."""
    if given.has("--list"):
        write_output(list_text(), None)
        return 0
    if len(given.words) > 1:
        raise DsdError("give one file to write, not several", help="`dsd-new first.dsd --recipe one-shot`")
    if not any(given.has(name) for name in CHOICES) and sys.stdin.isatty() and sys.stdout.isatty():
        from dsd_lang.cli.questions import asked

        given = asked(given, default=DEFAULT_RECIPE)
    if not given.words:
        raise DsdError("give the file to write", help="`dsd-new first.dsd --model ds2`, or `-` for stdout")
    path = checked_path(given.words[0], may_overwrite=given.has("--force"))
    recipe = recipe_of(given.last("--recipe") or DEFAULT_RECIPE)
    if given.has("--sparsity") and not recipe.has_target:
        raise DsdError(
            f"the recipe `{recipe.name}` takes no `--sparsity`: the zeros of the network say what is pruned",
            help="leave it out, or use `--recipe one-shot`",
        )
    name = "FILE" if path is None else path
    write_output(starter_text(recipe, choices_of(given), name=name), path)
    if path is not None:
        write_output(f"wrote {path}; see what it resolves to with `dsd-plan {path}`\n", None)
    return 0


def checked_path(word: str, *, may_overwrite: bool) -> str | None:
    """The path to write, None for stdout; raises :class:`DsdError` for a name without `.dsd` or an existing file."""
    if word == "-":
        return None
    if not word.endswith(SUFFIX) or os.path.basename(word) == SUFFIX:
        raise DsdError(
            f"`{word}` is not the name of a schedule: it must end in `{SUFFIX}`", help=f"write `{word}{SUFFIX}`"
        )
    if os.path.lexists(word) and (os.path.isdir(word) or not may_overwrite):
        raise DsdError(f"`{word}` already exists", help="choose another name, or use `--force` to overwrite it")
    return word


def recipe_of(name: str) -> Recipe:
    """The recipe of that name."""
    if name not in RECIPES:
        guess = nearest(name, tuple(RECIPES))
        known = f"expected one of {', '.join(RECIPES)}"
        raise DsdError(f"unknown recipe `{name}`", help=f"did you mean `{guess}`? {known}" if guess else known)
    return RECIPES[name]


def choices_of(given: Given) -> Choices:
    """The choices made by the flags, and what is known about the model."""
    from dsd_lang.starter.choices import Choices

    length, sparsity, model = given.last("--length"), given.last("--sparsity"), given.last("--model") or None
    optimizer, task = "", "classification"
    if model is not None:
        optimizer = model_preset(model).get("opt", "")
        task = model_cards().get(model.partition(":")[0], {}).get("task", task)
    return Choices(
        model,
        task,
        optimizer,
        None if length is None else length_of(length),
        None if sparsity is None else share_of(sparsity),
    )


def length_of(text: str) -> Length:
    """`--length` as a positive length."""
    try:
        length = parse_length(text)
    except ValueError as error:
        raise DsdError(f"`--length {text}` is not a length", help="write for instance `10ep` or `500it`") from error
    if length.value <= 0:
        raise DsdError(f"`--length {text}` is not above 0", help="write for instance `10ep` or `500it`")
    return length


def share_of(text: str) -> Fraction:
    """`--sparsity` as a share between 0 and 1."""
    try:
        share = exact(text)
    except (ValueError, ZeroDivisionError) as error:
        raise DsdError(f"`--sparsity {text}` is not a share", help="write for instance `50%` or `0.5`") from error
    if not 0 < share < 1:
        better = f"write `{text}%`" if 1 <= share < 100 else "write for instance `50%` or `0.5`"
        raise DsdError(f"`--sparsity {text}` is not between 0 and 1", help=better)
    return share


def list_text() -> str:
    """The recipes with their sources, and the models."""
    lines = ["recipes:"]
    for recipe in RECIPES.values():
        lines += [f"  {recipe.name:<15} {recipe.summary}"]
    lines += ["", "models:"]
    lines += [f"  {name:<15} {card['summary']}" for name, card in model_cards().items()] or [
        "  none: install `dsd-lang[run]`"
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
