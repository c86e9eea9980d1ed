"""The questions that `dsd-new` asks on a terminal when no option was given."""

from __future__ import annotations

from dsd_lang.base.errors import DsdError
from dsd_lang.cli.flags import Given
from dsd_lang.cli.installed import model_cards
from dsd_lang.starter.recipes import RECIPES


def asked(given: Given, *, default: str) -> Given:
    """The command line completed with the answers; an empty answer takes the default in brackets."""
    recipe = _choice("What to write?", {name: item.summary for name, item in RECIPES.items()}, default)
    models = {name: card["summary"] for name, card in model_cards().items()}
    model = _choice("Which network?", {**models, "none": "choose later, with --model"}, "none")
    words = given.words or [_answer(f"File to write [{recipe}.dsd]: ") or f"{recipe}.dsd"]
    chosen = {"--recipe": [recipe], **({} if model == "none" else {"--model": [model]})}
    return Given({**given.values, **chosen}, words)


def _choice(question: str, options: dict[str, str], default: str) -> str:
    """One of the options by number, or any other text, which is checked later."""
    names = list(options)
    print(question)
    for number, (name, summary) in enumerate(options.items(), start=1):
        print(f"  {number:>2}  {name:<15} {summary}")
    answer = _answer(f"number or name [{default}]: ") or default
    return names[int(answer) - 1] if answer.isdecimal() and 1 <= int(answer) <= len(names) else answer


def _answer(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError as error:
        print()
        raise DsdError("no choice was made, so nothing was written", help="`dsd-new --help` lists the flags") from error
