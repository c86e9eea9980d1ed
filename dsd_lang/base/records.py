"""Frozen, slotted records without the `dataclasses` module, which takes longer to import than a small file to lint.

``@record`` reads a class's annotations as ``@dataclass(frozen=True, slots=True)`` does: an `__init__` by position or
keyword, equality, hash, repr and `__match_args__`. `dataclasses.asdict`, `fields` and `replace` work on records.

    >>> @record
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1, y=0)
"""

from __future__ import annotations

from dsd_lang.base.constructors import constructor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    Class = TypeVar("Class")
else:

    def dataclass_transform(**_: object) -> object:
        return lambda decorator: decorator


@dataclass_transform(frozen_default=True)
def record(cls: type[Class]) -> type[Class]:
    """Makes the class a frozen record of its annotated fields; a value in the class body is a default."""
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    body = {key: value for key, value in cls.__dict__.items() if key not in defaults and key not in _LEFT_OUT}
    make: Any = type(cls)
    made = make(cls.__name__, cls.__bases__, {**body, **_SHARED, "__slots__": names, "__match_args__": names})
    setters = {f"set_{index}": made.__dict__[name].__set__ for index, name in enumerate(names)}
    made.__init__ = constructor(_template, names, defaults, setters)
    made.__qualname__ = cls.__qualname__
    result: type[Class] = made
    return result


def _template(fields: tuple[str, ...]) -> str:
    stores = "; ".join(f"set_{index}(self, {name})" for index, name in enumerate(fields))
    return f"def __init__(self, {', '.join(fields)}): {stores or 'pass'}"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__slots__])


def _equals(self: Any, other: object) -> bool:
    return other.__class__ is self.__class__ and _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
    return f"{type(self).__qualname__}({fields})"


def _refuse(self: Any, name: str, *_: object) -> None:
    raise AttributeError(f"`{type(self).__name__}` is frozen: `{name}` cannot be changed")


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), _values(self)


class _Fields:
    """The fields in the form that the functions of `dataclasses` need, made when first used."""

    def __init__(self) -> None:
        self._made: dict[type, dict[str, Any]] = {}

    def __get__(self, instance: object, owner: Any) -> dict[str, Any]:
        if owner not in self._made:
            import dataclasses

            twin: Any = dataclasses.make_dataclass(owner.__name__, owner.__slots__)
            self._made[owner] = twin.__dataclass_fields__
        return self._made[owner]


_LEFT_OUT = ("__dict__", "__weakref__")
_SHARED = {
    "__eq__": _equals, "__hash__": _hash, "__repr__": _repr, "__setattr__": _refuse, "__delattr__": _refuse,
    "__reduce__": _reduce, "__dataclass_fields__": _Fields(),
}  # fmt: skip
