"""Computes the effective settings: command-line flags override `set`, which overrides the model's preset."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang import rules
from dsd_lang.base.arguments import BY_NAME, Argument, allowed_at
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import format_exact
from dsd_lang.passes.bindings import bind_all
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.overrides import names_of, overridden
from dsd_lang.passes.quantities import NO_NAMES, Names, Quantity, evaluate, is_too_long
from dsd_lang.passes.read_used_files import joined
from dsd_lang.passes.read_values import read_value
from dsd_lang.passes.scopes import NO_SCOPE, Scope
from dsd_lang.passes.values import NONE, is_decay, is_function, is_length, is_source
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from dsd_lang.passes.values import Value

    Origin = Literal["set", "flag", "preset"]


class Setting(NamedTuple):
    """One effective setting: its data for the phases, its data for the plan, its origin and its span."""

    data: Value
    shown: Any
    origin: Origin
    node: nodes.Argument


Settings = dict[str, Setting]


def read_settings(compilation: Compilation) -> None:
    """Fills in ``settings``."""
    compilation.settings = effective_settings(
        compilation.program,
        compilation.overrides,
        compilation.defaults,
        compilation.diagnostics,
        used=compilation.used,
    )


def effective_settings(
    program: nodes.Program,
    overrides: Mapping[str, str] | None,
    defaults: Mapping[str, str] | None,
    diagnostics: Diagnostics,
    *,
    used: Mapping[int, Scope] = {},
) -> Settings:
    """The effective settings. A mistake in a flag or preset is a :class:`DsdError`, one in the text a diagnostic.

    ``used`` has what each `use` brings; a setting may be a `let` above it.
    """
    settings: Settings = {}
    scope = NO_SCOPE
    for name, text in (defaults or {}).items():
        settings[name] = _from_text(name, str(text), "preset")
    first: dict[str, nodes.Argument] = {}
    for statement in program.statements:
        if isinstance(statement, nodes.Use):
            scope = joined(scope, used.get(id(statement), NO_SCOPE))
        elif isinstance(statement, nodes.Let):
            bound = bind_all(overridden(statement, overrides).values, scope.names, Diagnostics())
            scope = scope if bound is None else scope.with_names({statement.name.text: bound})
        if not isinstance(statement, nodes.SetStatement):
            continue
        for argument in statement.arguments:
            row = BY_NAME.get(argument.name)
            if row is None or "set" not in row.places:
                continue
            if argument.name in first:
                diagnostics.report(rules.duplicate_argument.set_twice(argument, first[argument.name].span.line))
                continue
            first[argument.name] = argument
            setting = _setting(row, argument, "set", scope.names, diagnostics)
            if setting is not None:
                settings[argument.name] = setting
    lets = names_of(program)
    for name, text in (overrides or {}).items():
        if name not in lets:
            settings[name] = _from_text(name, str(text), "flag", lets)
    return settings


def _setting(
    row: Argument, argument: nodes.Argument, origin: Origin, names: Names, diagnostics: Diagnostics
) -> Setting | None:
    if row.kind == "lr":
        return _rate(argument, origin, names, diagnostics)
    if isinstance(argument.value, nodes.Reference):
        diagnostics.report(rules.unknown_reference.in_setting(row.name, argument.value.span))
        return None
    data = read_value(row, argument.value, names, diagnostics)
    return None if data is None else Setting(data, _shown(row, data), origin, argument)


def _rate(argument: nodes.Argument, origin: Origin, names: Names, diagnostics: Diagnostics) -> Setting | None:
    if isinstance(argument.value, tuple):
        return None
    if isinstance(argument.value, nodes.ListTarget):
        diagnostics.report(rules.wrong_value_names.rates_of_groups_in_setting(argument.value.span))
        return None
    quantity = evaluate(argument.value, names, diagnostics)
    if quantity is None:
        return None
    if not quantity.is_number or quantity.value <= 0 or is_too_long(quantity.value):
        diagnostics.report(
            rules.lr_not_positive.setting_not_positive(str(quantity), argument.value.span, is_number=quantity.is_number)
        )
        return None
    return Setting(Quantity(quantity.value), format_exact(quantity.value), origin, argument)


def _shown(row: Argument, data: Value) -> Any:
    """Plain JSON data with numbers as text, as in the plan's `settings`."""
    if data is NONE:
        return "none"
    if is_length(data):
        return data["value"] + data["unit"]
    if row.kind == "decay" and is_decay(data):
        return {**data, "milestones": list(data.get("milestones", ()))} if len(data) > 1 else data["kind"]
    if is_function(data):
        return data if data["arguments"] else data["name"]
    if is_source(data):
        return data["kind"]
    if row.kind == "selectors" and isinstance(data, tuple):
        return list(data) or "none"
    return str(data)


def _from_text(name: str, text: str, origin: Origin, lets: tuple[str, ...] = ()) -> Setting:
    source = "--set" if origin == "flag" else "the model's preset"
    row = BY_NAME.get(name)
    if row is None or "set" not in row.places:
        guess = nearest(name, (*lets, *allowed_at("set")))
        own = f"; this schedule has {', '.join(f'`{one}`' for one in lets)}" if lets else ""
        raise DsdError(
            f"{source} has no `{name}`",
            help=(f"did you mean `{guess}`?" if guess else "the settings are listed in docs/language.md") + own,
        )
    body = text.strip()
    if row.kind == "text" and body[:1] not in ("'", '"'):
        body = '"' + body.replace('"', "") + '"'
    argument = _parse_argument(name, body)
    diagnostics = Diagnostics()
    setting = None if argument is None else _setting(row, argument, origin, NO_NAMES, diagnostics)
    if setting is None:
        problem = next(iter(diagnostics), None)
        message = problem.message if problem is not None else f"`{text[:60]}` is not a value for `{name}`"
        raise DsdError(f"{source} `{name}`: {message}", help=(problem.help or None) if problem is not None else None)
    return setting


def _parse_argument(name: str, text: str) -> nodes.Argument | None:
    from dsd_lang.syntax.parser import parse

    result = parse(f"set {name}={text}\n")
    if result.diagnostics or len(result.program.statements) != 1:
        return None
    statement = result.program.statements[0]
    if not isinstance(statement, nodes.SetStatement) or len(statement.arguments) != 1:
        return None
    return statement.arguments[0]
