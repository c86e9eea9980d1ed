"""Calls of a `def`: parameters get their values, and the body the spans of this call.

The statements of a body are copied for every call, so that a diagnostic about one of them can name the call, too.
"""

from __future__ import annotations

from dsd_lang import rules
from dsd_lang.base.diagnostics import CalledSpan, Span
from dsd_lang.passes.bindings import bind
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Bound
from dsd_lang.passes.scopes import Definition, Scope
from dsd_lang.syntax import nodes
from dsd_lang.syntax.node_copies import NodeCopies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


def find_definition(
    call: nodes.Invocation, scope: Scope, program: nodes.Program, diagnostics: Diagnostics
) -> Definition | None:
    """The `def` that a statement calls; None after reporting that there is none."""
    definition = scope.definitions.get(call.callee.text)
    if definition is None:
        name, start = call.callee.text, call.callee.span.start
        own = [item for item in program.statements if isinstance(item, nodes.Def) and item.name.text == name]
        is_own = any(item.span.start <= start < item.span.end for item in own)
        diagnostics.report(
            rules.unknown_reference.unknown_definition(
                call.callee, tuple(scope.definitions), is_later=bool(own), is_own=is_own
            )
        )
    return definition


def called_scope(
    call: nodes.Invocation, scope: Scope, definition: Definition, diagnostics: Diagnostics
) -> Scope | None:
    """What is visible in the body of a call; None after reporting a value that does not fit the parameters."""
    given = _given(call, definition.node, diagnostics)
    if given is None:
        return None
    names: dict[str, Bound] = {}
    missing: list[str] = []
    for parameter in definition.node.parameters:
        item = given.get(parameter.name.text)
        if item is None and parameter.default is None:
            missing.append(parameter.name.text)
            continue
        inner = {**definition.scope.names, **names}
        bound = (
            bind(item.value, scope.names, diagnostics)
            if item is not None
            else bind(parameter.default, inner, diagnostics)  # type: ignore[arg-type]
        )
        if bound is None:
            return None
        names[parameter.name.text] = bound[0]
    if missing:
        diagnostics.report(rules.wrong_value_names.parameter_missing(call, tuple(missing)))
        return None
    inner_scope = definition.scope.with_names(names)
    return inner_scope._replace(texts=scope.texts, whole=scope.whole)


def _given(
    call: nodes.Invocation, definition: nodes.Def, diagnostics: Diagnostics
) -> dict[str, nodes.GivenValue] | None:
    known = tuple(parameter.name.text for parameter in definition.parameters)
    given: dict[str, nodes.GivenValue] = {}
    for index, item in enumerate(call.given):
        name = item.name.text if item.name is not None else known[index] if index < len(known) else ""
        if name not in known:
            diagnostics.report(rules.unknown_argument.unknown_given(call.callee.text, item, known))
            return None
        if name in given:
            diagnostics.report(rules.duplicate_argument.given_twice(item, name))
            return None
        given[name] = item
    return given


def respanned(node: T, call: Span, name: str, file: str | None) -> T:
    """A copy of a node, or of a tuple of them, whose spans know the call that brought them in."""
    copied: T = _called(node, call, name, file)
    return copied


def _called_span(span: Span, call: Span, name: str, file: str | None) -> CalledSpan:
    return CalledSpan.of(span, call, name, span.file if isinstance(span, CalledSpan) else file)


_called = NodeCopies("call, name, file", "called({0}, call, name, file)", called=_called_span)
