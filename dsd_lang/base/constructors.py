"""Makes the constructors of records and named tuples from code that is compiled once for each number of fields.

A program that lints one small file defines a hundred such classes, and compiling is most of what a class takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import CodeType, FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Template = Callable[[tuple[str, ...]], str]


def constructor(template: Template, fields: tuple[str, ...], defaults: dict[str, Any], scope: dict[str, Any]) -> Any:
    """The function that ``template`` writes for parameters with these names; ``scope`` has the global names it uses.

    Its first parameter is the class or the object itself. Raises ``TypeError`` for a field that must be given after one
    that need not.
    """
    first_default = len(fields) - len(defaults)
    if set(fields[first_default:]) != set(defaults):
        raise TypeError(f"a field without a default follows one with a default: {', '.join(fields)}")
    code = _code(template, len(fields))
    renamed = code.replace(co_varnames=(code.co_varnames[0], *fields))
    return FunctionType(renamed, scope, code.co_name, tuple([defaults[name] for name in fields[first_default:]]))


@cache
def _code(template: Template, num_fields: int) -> CodeType:
    """The code of a template for parameters `_0`, `_1`, ..."""
    scope: dict[str, Any] = {}
    exec(template(tuple([f"_{index}" for index in range(num_fields)])), scope)
    (function,) = (value for value in scope.values() if isinstance(value, FunctionType))
    code: CodeType = function.__code__
    return code
