"""The rules, one per file: the manual page as the module's docstring, the code, its messages, and the check.

If a pass detects a mistake, it calls the function of the rule's module that makes the diagnostic, so all messages are
in the rules and no rule imports a pass. :mod:`dsd_lang.rules.checks` lists the checks in order.

A pass writes `rules.wrong_value.outside(...)`: the messages of a rule are loaded for the first mistake that needs them.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import CATALOGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.rules import bad_ramp as bad_ramp
    from dsd_lang.rules import duplicate_argument as duplicate_argument
    from dsd_lang.rules import length_without_unit as length_without_unit
    from dsd_lang.rules import lr_not_positive as lr_not_positive
    from dsd_lang.rules import milestones_out_of_order as milestones_out_of_order
    from dsd_lang.rules import missing_first_length as missing_first_length
    from dsd_lang.rules import program_too_large as program_too_large
    from dsd_lang.rules import repeat_without_pair as repeat_without_pair
    from dsd_lang.rules import shares_past_whole as shares_past_whole
    from dsd_lang.rules import target_out_of_range as target_out_of_range
    from dsd_lang.rules import unknown_argument as unknown_argument
    from dsd_lang.rules import unknown_metric as unknown_metric
    from dsd_lang.rules import unknown_reference as unknown_reference
    from dsd_lang.rules import unusable_file as unusable_file
    from dsd_lang.rules import wrong_condition as wrong_condition
    from dsd_lang.rules import wrong_value as wrong_value
    from dsd_lang.rules import wrong_value_names as wrong_value_names


def __getattr__(name: str) -> object:
    """A rule's module."""
    from importlib import import_module

    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`") from error


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
