"""`NamedTuple` as in `typing`, whose classes take a twentieth of the time to define.

    >>> class Point(NamedTuple):
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1)._replace(y=2).y
    (Point(x=1, y=0), 2)

`typing` compiles every annotation and every constructor. Here annotations stay text, and classes with the same number
of fields share the code of their constructor.
"""

from __future__ import annotations

from collections import namedtuple

from dsd_lang.base.constructors import constructor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as NamedTuple
else:
    _WIDEST = namedtuple("_WIDEST", [f"item{index}" for index in range(32)])
    _GETTERS = tuple(vars(_WIDEST)[name] for name in _WIDEST._fields)  # each knows only its index

    def _template(fields: tuple[str, ...]) -> str:
        return f"def __new__(cls, {', '.join(fields)}): return new(cls, ({', '.join(fields)},))"

    class _Definition(type):
        """Makes the class of a body with annotations."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            new = constructor(_template, fields, defaults, {"new": tuple.__new__})
            getters = dict(zip(fields, _GETTERS[: len(fields)], strict=True))
            made = {"__new__": new, "__slots__": (), "__match_args__": fields, "_fields": fields}
            return type(name, (tuple,), {**_SHARED, **body, **getters, **made})

    def _repr(self: Any) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({values})"

    def _replace(self: Any, /, **changes: Any) -> Any:
        made = tuple.__new__(type(self), map(changes.pop, self._fields, self))
        if changes:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(map(repr, changes))}")
        return made

    def _asdict(self: Any) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def _arguments(self: Any) -> tuple[Any, ...]:
        return tuple(self)

    _SHARED = {"__repr__": _repr, "__getnewargs__": _arguments, "_replace": _replace, "_asdict": _asdict}

    class NamedTuple(metaclass=_Definition):
        """The base of classes whose annotations are the fields of a tuple."""
