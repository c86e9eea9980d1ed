"""The rules, one per file: the manual page as the module's docstring, the code, its messages, and the check.

If a pass detects a mistake, it calls the function of the rule's module that makes the diagnostic, so all messages are
in the rules and no rule imports a pass. :mod:`dsd_lang.rules.checks` lists the checks in order.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import CATALOGUE


def page(code: str) -> str | None:
    """The manual page of a code: what it does, why it is bad, an example, what to use instead.

    None if there is none.
    """
    from importlib import import_module

    entry = CATALOGUE.get(code)
    if entry is None:
        return None
    try:
        return import_module(f"dsd_lang.rules.{entry.name.replace('-', '_')}").__doc__
    except ModuleNotFoundError:
        return None
