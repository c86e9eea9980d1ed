"""`dsd-lint --explain`: prints the manual page of a rule."""

from __future__ import annotations

from dsd_lang.base.diagnostics import CATALOGUE, Code, rule_url
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.rules import page


def explain(word: str) -> str:
    """The page of a rule, by code or name; all pages for `all`. Raises :class:`DsdError` for any other word."""
    if word.lower() == "all":
        return "\n\n".join(_page(entry) for entry in CATALOGUE.values())
    names = {name: entry for entry in CATALOGUE.values() for name in (entry.code.lower(), entry.name)}
    entry = names.get(word.lower())
    if entry is None:
        guess = nearest(word.lower(), list(names))
        shown = names[guess].code if guess and guess.startswith("dsd") else guess
        raise DsdError(
            f"unknown rule `{word}`",
            help=f"did you mean `{shown}`?" if shown else "give a code such as `DSD303`, a name or `all`",
        )
    return _page(entry)


def _page(entry: Code) -> str:
    title = f"{entry.code} {entry.name} ({entry.severity}{'' if entry.default else ', off by default'})"
    return f"{title}\n{'=' * len(title)}\n\n{(page(entry.code) or '').strip()}\n\n{rule_url(entry.code)}\n"
