"""The pages of the methods, docs/methods/ARGUMENT/NAME.md: which there are, and what the registry knows of each.

No page can be missing or stale: names, parameters, defaults and sources are those of `dsd_lang.base.options`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs_tables import table

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.expected_values import expected_by
from dsd_lang.base.options import Option, Parameter

ARGUMENTS = {
    "by": "Scores",
    "scope": "Scopes",
    "unit": "Units",
    "alloc": "Allocations",
    "update": "Mask updates",
    "enforce": "Enforcement",
}
INDEX = "methods/index.md"
PATTERNS = "methods/target/n-of-m.md"
_DOCS = Path(__file__).resolve().parent.parent / "docs"
_PLACES = ("first", "second")


def methods() -> list[tuple[str, Option]]:
    """Every method, with the argument whose value it is."""
    return [(name, option) for name in ARGUMENTS for option in BY_NAME[name].options if option.name != "none"]


def page_of(argument: str, option: str) -> str:
    """The path of a method's page in docs/."""
    return f"methods/{argument}/{option}.md"


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """The pages in the site's navigation, a section for each argument."""
    found: dict[str, list[dict[str, str]]] = {title: [] for title in ARGUMENTS.values()}
    for argument, option in methods():
        found[ARGUMENTS[argument]].append({option.name: page_of(argument, option.name)})
    return [*({title: pages} for title, pages in found.items()), {"Patterns": [{"N:M": PATTERNS}]}]


def facts(written: str) -> str:
    """How the method `by=snip` is written with its defaults, its source and its parameters, as Markdown."""
    argument, _, name = written.partition("=")
    option = next(option for option in BY_NAME[argument].options if option.name == name)
    source = f" Source: {option.source}." if option.source else ""
    default = " It is the default." if BY_NAME[argument].default == name else ""
    refused = "" if option.is_supported else " It is *refused*: no engine has it yet."
    lines = f"\nWritten `{argument}={_with_defaults(option)}`.{default}{source}{refused}\n\n"
    if not option.parameters:
        return lines
    rows = ((_name(one), expected_by(one), _default(one)) for one in option.parameters)
    return f"{lines}{table(('parameter', 'takes', 'default'), rows)}\n"


def methods_table() -> str:
    """Every value that is a published method, with its parameters, their defaults and the publication."""
    rows = [(row, option) for row in BY_NAME.values() for option in row.options if option.source]
    return table(
        ("method", "source", "executed"),
        ((f"`{row.name}={_with_defaults(item)}`", item.source, _executed(item)) for row, item in rows),
    )


def pages_table() -> str:
    """Every method with a link to its page and the page's first sentence; of the index page."""
    return table(
        ("method", "in one sentence", "source"),
        (
            (f"[`{argument}={option.name}`]({argument}/{option.name}.md)", _sentence(argument, option), option.source)
            for argument, option in methods()
        ),
    )


def _sentence(argument: str, option: Option) -> str:
    text = (_DOCS / page_of(argument, option.name)).read_text(encoding="utf-8")
    return " ".join(text.split("\n\n")[1].split())


def _with_defaults(option: Option) -> str:
    given = [f"{one.name}={one.default or one.example}" if one.is_named else one.example for one in option.parameters]
    return f"{option.name}({', '.join(given)})" if given else option.name


def _executed(option: Option) -> str:
    return "yes" if option.is_supported else "*refused*"


def _name(parameter: Parameter) -> str:
    return f"`{parameter.name}=`" if parameter.is_named else f"the {_PLACES[int(parameter.name)]}"


def _default(parameter: Parameter) -> str:
    return "none: it must be given" if parameter.is_required else f"`{parameter.default or parameter.example}`"


METHOD_TABLES: dict[str, Callable[[], str]] = {"methods": methods_table, "method-pages": pages_table}
