"""The rules, one a file: a page as the module's docstring, the code, its messages, and the check.

A mistake that a pass finds on its way is reported in the words of its rule: the pass calls the function of the rule's
module that makes the diagnostic. So no rule imports a pass; :mod:`dsd_lang.rules.checks` lists the checks in order.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import CATALOGUE


def page(code: str) -> str | None:
    """The manual page of a code: what it does, why it is bad, an example, what to use instead. None without one."""
    from importlib import import_module

    entry = CATALOGUE.get(code)
    if entry is None:
        return None
    try:
        return import_module(f"dsd_lang.rules.{entry.name.replace('-', '_')}").__doc__
    except ModuleNotFoundError:
        return None
